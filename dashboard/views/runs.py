"""All runs as a table; one click opens one."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import streamlit as st

from dashboard import loading
from dashboard.widgets.new_audit import offer_audit, show_jobs
from dashboard.widgets.plain import table
from explain.report import found_in_words
from explain.words import kinds_in_words

OPEN_KEY: Final = "open_run"
FILTER_KEY: Final = "shown_runs"
SHOWN: Final = "show"
"In the URL"


def _found(run: loading.Run) -> bool | None:
    return None if run.report is None else run.report.verdict.objective_found


FILTERS: Final[Mapping[str, Callable[[loading.Run], bool]]] = {
    "all": lambda _: True,
    "objective found": lambda run: _found(run) is True,
    "none found": lambda run: _found(run) is False,
    "other audits": lambda run: run.command == "audit" and _found(run) is None,
    "other jobs": lambda run: run.command != "audit",
}
"Which runs are listed"
_text = st.column_config.TextColumn


def render(open_run: Callable[[loading.Run], None]) -> None:
    """The page; `open_run` leaves it for a run."""
    st.title("Runs")
    found = loading.runs()
    offer_audit(found)
    show_jobs()
    if not found:
        _nothing_yet()
        return
    found = _filtered(found)
    st.caption(
        "Newest first; a click on a column's name sorts. Open one for its verdict, terms, drift "
        "and responses."
    )
    table([_row(run) for run in found], _columns(), height="content")
    clicked = st.session_state.get(OPEN_KEY)
    if clicked is not None:
        open_run(found[clicked["row"]])


def _filtered(found: Sequence[loading.Run]) -> list[loading.Run]:
    """Those that the reader wants to see; the choice stands in the URL."""
    if st.query_params.get(SHOWN) not in FILTERS:
        st.query_params.pop(SHOWN, None)
    chosen = st.segmented_control(
        "Show",
        list(FILTERS),
        default=st.query_params.get(SHOWN, next(iter(FILTERS))),
        required=True,
        key=FILTER_KEY,
        on_change=_follow_filter,
        label_visibility="collapsed",
    )
    return [run for run in found if FILTERS[chosen](run)]


def _follow_filter() -> None:
    st.query_params[SHOWN] = st.session_state[FILTER_KEY]


def _nothing_yet() -> None:
    st.info("There is no run yet. This command makes one, of the bundled pair:")
    st.code("irl audit", language=None)
    st.caption("Looked for run folders in:")
    for root in loading.roots():
        st.text(str(root))


def _row(run: loading.Run) -> dict[str, object]:
    report = run.report
    r2 = report.verdict.explained_r2 if report else None
    return {
        "open": "Open",
        "name": run.name,
        "state": run.state,
        "command": run.command,
        "created": run.created,
        "verdict": found_in_words(report.verdict.objective_found) if report else "",
        "objectives": kinds_in_words(report.objectives) if report else "",
        "explained_r2": r2.value if r2 else None,
        "kind": "example" if run.example else "run",
        "aligned": report.pair.aligned.source if report else "",
        "reference": report.pair.reference.source if report else "",
    }


def _columns() -> dict[str, object]:
    return {
        "open": st.column_config.ButtonColumn("", key=OPEN_KEY, width="small"),
        "name": _text("run"),
        "command": _text("job", help="The command of irl that made it."),
        "state": _text("state"),
        "verdict": _text("verdict", width=100, help="Whether an objective was found."),
        "objectives": _text("objectives", help="The kinds of objective that the verdict names."),
        "explained_r2": st.column_config.NumberColumn(
            "explained R²", format="%.2f", help="Out of fold, within prompts."
        ),
        "kind": _text("kind", help="Examples come with the code."),
        "created": st.column_config.DatetimeColumn("created (UTC)", format="YYYY-MM-DD HH:mm"),
        "aligned": _text("aligned", width="medium"),
        "reference": _text("reference", width="medium"),
    }
