"""Audits side by side: what changed in figures, terms and aspects."""

from collections.abc import Sequence
from typing import Any, Final

import streamlit as st

from dashboard import loading
from dashboard.widgets.plain import PLOT, table
from dashboard.widgets.run_choice import choose_of
from explain import comparison
from explain.comparison import Compared
from explain.comparison_figures import MAX_ROWS, STYLES, forests
from explain.report import found_in_words
from irl.records import AuditReport

OTHERS: Final = "with"
KEY: Final = "other_runs"
_text, _check = st.column_config.TextColumn, st.column_config.CheckboxColumn


def render() -> None:
    """The page of the audit that the URL names, beside those that it names `with`."""
    found = {run.name: run for run in loading.runs() if run.report is not None}
    enough = list(found.values()) if len(found) > 1 else []
    nothing = "Two audits are needed; the page Runs says how to make one."
    run = choose_of(enough, "Compare audits", nothing)
    if run is None:
        return
    others = _others([other for other in found if other != run.name])
    st.title("Audits side by side")
    if not others:
        st.info("Choose another audit to hold this one against.")
        return
    names = [run.name, *others]
    reports = [report for one in names if (report := found[one].report) is not None]
    _verdicts(names, reports)
    _figures(names, reports)
    _terms(names, reports)
    _aspects(names, reports)


def _others(names: Sequence[str]) -> list[str]:
    """The other audits in the URL; those that are not here are passed over."""
    asked = [one for one in st.query_params.get_all(OTHERS) if one in names]
    st.session_state[KEY] = asked[: len(STYLES) - 1]
    chosen: list[str] = st.multiselect(
        "Held against",
        names,
        max_selections=len(STYLES) - 1,
        key=KEY,
        placeholder="another audit",
        on_change=_follow,
    )
    return chosen


def _follow() -> None:
    """The URL is the one truth about what is shown, so that links and the back button work."""
    st.query_params[OTHERS] = st.session_state[KEY]


def _verdicts(names: Sequence[str], reports: Sequence[AuditReport]) -> None:
    rows = [
        {
            "audit": name,
            "objective": found_in_words(report.verdict.objective_found),
            "statements": " ".join(report.verdict.statements),
            "caveats": len(report.verdict.caveats),
            "aligned": report.pair.aligned.source,
            "reference": report.pair.reference.source,
        }
        for name, report in zip(names, reports, strict=True)
    ]
    columns = {name: _text(name) for name in ("audit", "objective", "aligned", "reference")}
    columns["caveats"] = st.column_config.NumberColumn("caveats")
    columns["statements"] = _text("statements", width="large")
    table(rows, columns, height="content")
    references = {report.pair.reference.sha256 for report in reports}
    if len(references) > 1:
        st.warning(
            "These audits have different references: every log-ratio is against another "
            "policy, so weights and KL do not compare."
        )


def _figures(names: Sequence[str], reports: Sequence[AuditReport]) -> None:
    st.subheader("Figures")
    st.caption("With 95 % intervals; apart: the intervals of two audits do not overlap.")
    rows = comparison.compared_figures(reports)
    _table("figure", names, rows)


def _terms(names: Sequence[str], reports: Sequence[AuditReport]) -> None:
    st.subheader("Terms")
    rows = comparison.compared_terms(reports)
    if not rows:
        st.text("No audit reports a term.")
        return
    st.caption(
        "Weights with 95 % intervals; bold, and first, are terms that are apart. A term without a "
        "marker was not told from 0 there, or never said."
    )
    st.plotly_chart(
        forests(rows, names, "nats per occurrence (reward / beta)"),
        config=PLOT,
        alt="Weights of terms in every audit",
    )
    with st.expander(f"All {len(rows)} terms as a table", expanded=False):
        if len(rows) > MAX_ROWS:
            st.caption(f"{len(rows) - MAX_ROWS} of them are in the table only.")
        _table("term", names, rows)


def _aspects(names: Sequence[str], reports: Sequence[AuditReport]) -> None:
    st.subheader("Aspects")
    rows = comparison.compared_aspects(reports)
    if not rows:
        st.text("No audit has priced an aspect.")
        return
    _table("aspect, weight in nats", names, rows)


def _table(what: str, names: Sequence[str], rows: Sequence[Compared]) -> None:
    keys = [f"run {at}" for at in range(len(names))]
    shown: list[dict[str, Any]] = [
        {"name": one.name, "apart": one.apart}
        | {
            key: None if value is None else str(value)
            for key, value in zip(keys, one.values, strict=True)
        }
        for one in rows
    ]
    columns: dict[str, Any] = {"name": _text(what, width="large"), "apart": _check("apart")}
    columns |= {key: _text(name) for key, name in zip(keys, names, strict=True)}
    table(shown, columns, height="content")
