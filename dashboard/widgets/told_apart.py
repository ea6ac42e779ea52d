"""Who wrote what, told by scores: curves, odds, and where they fail."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import streamlit as st

from dashboard import measured, prompt_groups
from dashboard.widgets.address import choose
from dashboard.widgets.plain import PLOT
from explain import accuracy_figures, training_figures
from irl.records import PromptCondition

SCORES: Final = {"log-ratio": "log_ratio_nats", "recovered reward": "reward_nats"}
"What ranks answers, and its column"
WAYS: Final = {
    "type": "their type",
    "condition": "where an objective applies",
    "length": "quarters of length",
    "first word": "their first word",
}
"How prompts are grouped"


def show_told_apart(run: Path, conditions: Sequence[PromptCondition]) -> list[str]:
    """Everything about pairs of one answer of each policy.

    Args:
        run: the run folder.
        conditions: of the objectives that were found.

    Returns:
        The scores that the run has.

    Raises:
        RunError: the run has no responses, or they cannot be read.
    """
    st.subheader("Who wrote what")
    st.caption(
        "Of two answers to one prompt, one of each policy: does the score rank the aligned one "
        "higher? The log-ratio is as good at this as anything can be; the recovered reward is out "
        "of fold. Neither is told which answers are better."
    )
    found = {label: measured.told_apart(run, column) for label, column in SCORES.items()}
    told = {label: one for label, one in found.items() if one.pairs}
    if not told:
        st.text("There are no two answers to compare.")
        return []
    _curves(told)
    _calibration(told)
    _lengths(told)
    _groups(run, conditions, list(told))
    return list(told)


def _curves(told: Mapping[str, measured.ToldApart]) -> None:
    st.plotly_chart(
        accuracy_figures.roc({name: one.roc for name, one in told.items()}),
        config=PLOT,
        alt="Share of aligned answers over share of reference answers, from each score on",
    )
    st.caption("Scores are centred within prompts, whose constants mean nothing.")


def _calibration(told: Mapping[str, measured.ToldApart]) -> None:
    st.subheader("Are its odds right?")
    st.caption(
        "The difference of two rewards in nats is the odds of which answer is the aligned one. "
        "Pairs by the probability that they give their side, and how often that side is right."
    )
    st.plotly_chart(
        training_figures.reliability(told[choose("Of the", list(told), "odds")].bins),
        config=PLOT,
        alt="Share of pairs ranked right over the probability that the score gives",
    )


def _lengths(told: Mapping[str, measured.ToldApart]) -> None:
    st.subheader("By length")
    st.caption(
        "A reward that only pays for length ranks pairs right where the aligned answer is longer, "
        "and wrong where it is shorter. Intervals of 95 %, over prompts."
    )
    lines = {name: one.by_length for name, one in told.items()}
    st.plotly_chart(
        accuracy_figures.right_by_length(measured.LENGTH_BINS, lines),
        config=PLOT,
        alt="Share of pairs ranked right by the difference in length",
    )


def _groups(run: Path, conditions: Sequence[PromptCondition], scores: Sequence[str]) -> None:
    st.subheader("By group of prompts")
    ways = prompt_groups.ways(run, conditions)
    if not ways:
        st.text("The prompts make no two groups.")
        return
    st.caption(
        "Is it as good for every kind of prompt? An objective that holds for some prompts alone "
        "tells the policies apart there alone. Intervals of 95 %, over the prompts of the group."
    )
    way = choose("Prompts by", ways, "groups", named=lambda name: WAYS[name])
    right = prompt_groups.right_by_group(run, conditions, way)
    lines = dict(zip(SCORES, right.shares, strict=True))
    st.plotly_chart(
        accuracy_figures.right_by_group(right.labels, {name: lines[name] for name in scores}),
        config=PLOT,
        alt="Share of pairs ranked right in each group of prompts",
    )
