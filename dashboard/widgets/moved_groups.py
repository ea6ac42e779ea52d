"""Drift by group of prompts."""

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from dashboard.moved_groups import moved_groups
from dashboard.widgets.address import choose
from dashboard.widgets.plain import PLOT
from dashboard.widgets.told_apart import WAYS
from explain import drift_figures
from irl.errors import RunError
from irl.records import Objective


def show_moved_groups(run: Path, objectives: Sequence[Objective]) -> None:
    """Where the policy has moved most; nothing where the prompts make no two groups."""
    conditions = [one.condition for one in objectives if one.condition is not None]
    try:
        found = moved_groups(run, conditions)
    except RunError:  # has been said above
        return
    if not found:
        return
    st.subheader("By group of prompts")
    st.caption("Mean log-ratio of the aligned policy's answers, intervals over prompts.")
    way = choose("Prompts by", list(found), "groups", named=lambda name: WAYS[name])
    moved = found[way]
    st.plotly_chart(
        drift_figures.moved_groups(list(moved), list(moved.values())),
        config=PLOT,
        alt="Mean log-ratio of the answers to each group of prompts",
    )
