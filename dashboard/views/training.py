"""Ensembles and RLHF: what a policy gains in training and at what KL, and what ensembles know."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import streamlit as st

from dashboard import loading
from dashboard.selection import Selection
from dashboard.widgets.course import show_course
from dashboard.widgets.ensemble import show_ensemble
from dashboard.widgets.path import show_path
from dashboard.widgets.run_choice import choose_run
from irl.errors import RunError

_SHOWN: Mapping[str, Callable[[loading.Run], None]] = MappingProxyType(
    {"align": show_course, "extrapolate": show_path, "ensemble": show_ensemble}
)


def render() -> None:
    """The page of the run that the URL names, or the newest of its kinds."""
    found = {run.name: run for run in loading.runs() if run.command in loading.TRAINING}
    if not found:
        st.title("Ensembles and RLHF")
        st.info("No run of irl align, irl extrapolate or irl ensemble is here. For example:")
        st.code("irl align --reward RUN --policy REFERENCE --prompts prompts.jsonl", language=None)
        return
    selection = Selection.from_query(st.query_params)
    examples = {name for name, run in found.items() if run.example}
    name = choose_run(list(found), examples, selection)
    if name is None:
        return
    run = found[name]
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
