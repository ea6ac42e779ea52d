"""Attributions: answers token by token, beside the other answers to the same prompt."""

import streamlit as st

from dashboard import loading
from dashboard.selection import Selection
from dashboard.widgets.explained import show_explanations
from dashboard.widgets.responses import browse_responses
from dashboard.widgets.run_choice import choose_of


def render() -> None:
    """The page of the run that the URL names, or the newest with responses."""
    answered = [run for run in loading.runs() if loading.has_responses(run)]
    nothing = "No finished run has responses; the page Runs says how to make one."
    run = choose_of(answered, "Attributions", nothing)
    if run is None:
        return
    st.title("Responses, token by token")
    st.caption(
        "Reward: the recovered one, out of fold, in units of beta, centred within the prompt. "
        "Low and high: its 95 % interval. Select a row to read it beside the other answers."
    )
    browse_responses(run.path, Selection.from_query(st.query_params))
    if run.report is not None:
        show_explanations(run.report)
