"""The verdict of an audit, what stands against it, and the objectives that it names."""

from typing import Any, Final

import streamlit as st

from dashboard.widgets.plain import estimate, fact, figure, nats, table
from explain.report import UNMEASURED, found_in_words
from explain.words import KINDS, MISSING, READABILITY, condition_in_words
from irl.records import AuditReport, Caveat, GateRow, Objective, Verdict

_text, _number = st.column_config.TextColumn, st.column_config.NumberColumn
OBJECTIVE_COLUMNS: Final = {
    "kind": _text("kind"),
    "condition": _text("condition"),
    "terms": st.column_config.ListColumn("terms", width="large"),
    "weight": nats("weight, nats", "Per occurrence of a term, or per word where it is length."),
    "low": nats("low"),
    "high": nats("high"),
    "n": _number("n", help="Prompts."),
    "sd": _number(
        "movement, nats",
        format="%.2f",
        help="The standard deviation, within prompts, of what the objective explains.",
    ),
    "sd_low": _number("low", format="%.2f"),
    "sd_high": _number("high", format="%.2f"),
}


def show_verdict(report: AuditReport) -> None:
    """The answer, its statements and figures, then every caveat."""
    verdict, pair = report.verdict, report.pair
    st.title(f"Objective: {found_in_words(verdict.objective_found)}")
    with st.container(horizontal=True, gap="medium"):
        fact("aligned", pair.aligned.source)
        fact("reference", pair.reference.source)
        fact("trained with", pair.trained_with)
        fact("created", report.created.replace("T", " ").replace("+00:00", " UTC"))
    with st.container(border=True):
        for statement in verdict.statements or ["The verdict makes no statement."]:
            st.text(statement)
        _figures(verdict)
    st.subheader("What stands against it")
    missing = [row for row in verdict.caveats if row.code.startswith(UNMEASURED)]
    _caveats([row for row in verdict.caveats if row not in missing])
    if missing:
        with st.expander(f"Not measured ({len(missing)})"):
            _caveats(missing)


def show_objectives(objectives: list[Objective]) -> None:
    """What the aligned policy was paid for, as far as the audit tells."""
    st.subheader("Objectives")
    if not objectives:
        st.text("None is named.")
        return
    table([_row(objective) for objective in objectives], OBJECTIVE_COLUMNS, height="content")


def show_gate(gate: list[GateRow]) -> None:
    """Which limits are kept; what was not measured counts as failed."""
    if not gate:
        return
    kept = sum(row.passed for row in gate)
    st.subheader(f"Gate: {kept} of {len(gate)} limits kept")
    columns = {
        "passed": st.column_config.CheckboxColumn("kept"),
        "path": _text("figure of the report", width="large"),
        "on": _text("its"),
        "limit": _text("limit"),
        "value": _text("measured"),
    }
    rows = [row.model_dump() | {"value": _measured(row)} for row in gate]
    table(sorted(rows, key=lambda row: bool(row["passed"])), columns, height="content")


def _measured(row: GateRow) -> str:
    return MISSING if row.value is None else str(row.value)


def _figures(verdict: Verdict) -> None:
    with st.container(horizontal=True):
        p = verdict.p_value
        figure("p value, against chance", None if p is None else f"{p:.3g}", border=False)
        estimate("explained R², within prompts", verdict.explained_r2, 2, border=False)
        estimate("explained movement, nats (sd)", verdict.explained_sd_nats, 2, border=False)
        word = None if verdict.readability is None else READABILITY[verdict.readability]
        figure("the log-ratio reads as", word, border=False)


def _caveats(caveats: list[Caveat]) -> None:
    with st.container(gap="xsmall"):
        for caveat in caveats:
            st.text(f"• {caveat.text}")


def _row(objective: Objective) -> dict[str, Any]:
    sd = objective.explained_sd_nats
    return {
        "kind": KINDS[objective.kind],
        "condition": condition_in_words(objective.condition),
        "terms": objective.terms,
        "weight": objective.weight.value,
        "low": objective.weight.low,
        "high": objective.weight.high,
        "n": objective.weight.n,
        "sd": sd.value if sd else None,
        "sd_low": sd.low if sd else None,
        "sd_high": sd.high if sd else None,
    }
