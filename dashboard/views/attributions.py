"""Attributions: answers token by token; what terms, aspects, concepts and probes are worth."""

from typing import Final, Literal

import streamlit as st

from dashboard import answers, loading
from dashboard.widgets.address import choose, here
from dashboard.widgets.aspects import show_aspects
from dashboard.widgets.explained import show_explanations
from dashboard.widgets.reading import read_response
from dashboard.widgets.responses import list_responses
from dashboard.widgets.run_choice import choose_of
from dashboard.widgets.terms import show_terms
from irl.records import AuditReport

Part = Literal["responses", "terms and aspects", "explanations"]
PARTS: Final[tuple[Part, ...]] = ("responses", "terms and aspects", "explanations")


def render() -> None:
    """The page of the run that the URL names, or the newest with responses."""
    answered = [run for run in loading.runs() if loading.has_responses(run)]
    nothing = "No finished run has responses; the page Runs says how to make one."
    run = choose_of(answered, "Attributions", nothing)
    if run is None:
        return
    part: Part = "responses" if run.report is None else choose("Show", PARTS, "part")
    if run.report is None or part == "responses":
        _responses(run, run.report)
    elif part == "terms and aspects":
        _prices(run, run.report)
    else:
        st.title("Words, concepts and edits, and whether to believe them")
        show_explanations(run.report)


def _responses(run: loading.Run, report: AuditReport | None) -> None:
    terms = [] if report is None else report.terms
    st.title("Responses, token by token")
    st.caption(
        "Reward: the recovered one, out of fold, in units of beta, centred within the prompt. "
        "Low and high: its 95 % interval. Select a row to read it beside the other answers."
    )
    list_responses(run.path, terms)
    if (response := here().response) is not None:
        read_response(run.path, response, terms, editable=report is not None)


def _prices(run: loading.Run, report: AuditReport) -> None:
    st.title("What terms and aspects are worth")
    show_terms(report.terms)
    residuals = [row.response_id for row in report.aspect_residuals]
    show_aspects(report, answers.texts(run.path, residuals))
