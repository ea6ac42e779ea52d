"""Reward accuracy: labels, methods, who wrote what, the truth where it is known, wrong cases."""

import streamlit as st

from dashboard import loading, recoveries
from dashboard.widgets.agreement import show_agreement
from dashboard.widgets.contraction import show_contraction
from dashboard.widgets.methods import show_methods
from dashboard.widgets.recovery import show_recovery
from dashboard.widgets.run_choice import NO_AUDIT, choose_of
from dashboard.widgets.told_apart import show_told_apart
from dashboard.widgets.truth import show_truth
from dashboard.widgets.wrong_pairs import show_wrong_pairs
from irl.errors import RunError


def render() -> None:
    """The page of the audit or recovery that the URL names, or the newest one."""
    found = [run for run in loading.runs() if run.report is not None or loading.is_recovery(run)]
    run = choose_of(found, "Reward accuracy", NO_AUDIT)
    if run is None:
        return
    st.title("What the rewards tell apart")
    try:
        held = recoveries.held(run)
    except RunError as error:
        st.text(str(error))
        return
    if held.recovery is not None:
        show_recovery(held.recovery)
    show_agreement(held.accuracy)
    if methods := recoveries.of_same_pair(run, found):
        show_methods(methods)
    _answers(run, held)


def _answers(run: loading.Run, held: recoveries.Held) -> None:
    """What the run's own answers say; without them, what its report says of them."""
    try:
        scores = show_told_apart(run.path, held.conditions)
    except RunError as error:
        st.text(str(error))
        scores = []
    if held.truth:
        show_truth(run.path, held.truth)
    if held.contraction:
        show_contraction(held.contraction)
    if scores:
        show_wrong_pairs(run.path, scores)
