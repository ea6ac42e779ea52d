"""Ensembles and RLHF: what a policy gains in training and at what KL, and what ensembles know."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import streamlit as st

from dashboard import loading
from dashboard.widgets.best_of_n import show_best_of_n
from dashboard.widgets.course import show_course
from dashboard.widgets.ensemble import show_ensemble
from dashboard.widgets.path import show_path
from dashboard.widgets.run_choice import choose_of
from irl.errors import RunError

_SHOWN: Mapping[str, Callable[[loading.Run], None]] = MappingProxyType(
    {
        "align": show_course,
        "extrapolate": show_path,
        "ensemble": show_ensemble,
        "best-of-n": show_best_of_n,
    }
)


def render() -> None:
    """The page of the run that the URL names, or the newest of its kinds."""
    found = [run for run in loading.runs() if run.command in loading.TRAINING]
    if not found:
        st.code("irl align --reward RUN --policy REFERENCE --prompts prompts.jsonl", language=None)
    nothing = (
        "No run of irl align, extrapolate, ensemble or best-of-n is here; the command above, say."
    )
    run = choose_of(found, "Ensembles and RLHF", nothing)
    if run is None:
        return
    if run.state == "broken":
        st.text(run.problem)
        return
    if run.state == "unfinished" and run.command != "align":
        st.title("This run is unfinished")
        st.text("The command that began it continues it.")
        return
    try:
        _SHOWN[str(run.command)](run)
    except RunError as error:
        st.text(str(error))
