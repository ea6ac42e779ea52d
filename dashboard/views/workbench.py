"""Workbench: a prompt and answers, typed and scored; edited, and what that changes."""

from typing import Final

import streamlit as st

from dashboard import loading
from dashboard.typed import Scored, asked_after
from dashboard.widgets.models import bench, show_memory
from dashboard.widgets.question import ask
from dashboard.widgets.run_choice import NO_AUDIT, choose_of
from dashboard.widgets.scored import show_scored
from dashboard.workbench import missing
from irl.errors import RunError
from irl.records.workbench import TypedQuestion

SCORED: Final = "scored with {}"
"The two latest scores of this reader, with a run's pair"


def render() -> None:
    """The page of the audit that the URL names, or the newest one."""
    audits = [run for run in loading.runs() if run.report is not None]
    run = choose_of(audits, "Workbench", NO_AUDIT)
    if run is None or run.report is None:
        return
    st.title("Type, score, edit, score again")
    st.caption(
        "The pair and the recovered reward of this audit score what you type. Change a word and "
        "score again to see what it is worth."
    )
    absent = missing(run.report.settings, run.path)
    if absent:
        st.info("The models of this audit are not at hand; put them back, or choose another audit.")
        for name in absent:
            st.text(name)
        return
    question = ask(run.path)
    if question is not None:
        _score(run, question)
    show_memory()
    scored: list[Scored] = st.session_state.get(SCORED.format(run.name), [])
    if scored:
        show_scored(run.path, scored[-1], scored[-2] if len(scored) > 1 else None)


def _score(run: loading.Run, question: TypedQuestion) -> None:
    """Score and remember; a sentence where that cannot be done."""
    key = SCORED.format(run.name)
    earlier: list[Scored] = st.session_state.get(key, [])
    asked = asked_after(question, earlier[-1] if earlier else None)
    doing = "Scoring" if bench().held == run.path else "Loading the models, then scoring"
    try:
        with st.spinner(doing, show_time=True):
            found = bench().ask(run.path, asked)
    except RunError as error:
        st.text(str(error))
        return
    st.session_state[key] = [*earlier, Scored(asked, found)][-2:]
