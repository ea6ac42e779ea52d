"""Reward accuracy: labels, who wrote what, calibration, length, and the cases that are wrong."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import streamlit as st

from dashboard import loading, measured
from dashboard.widgets.agreement import show_agreement
from dashboard.widgets.plain import PLOT, nats, table
from dashboard.widgets.run_choice import NO_AUDIT, choose_of
from explain import accuracy_figures, training_figures
from irl.errors import RunError

SCORES: Final = {"log-ratio": "log_ratio_nats", "recovered reward": "reward_nats"}
"What ranks answers, and its column"
_text = st.column_config.TextColumn


def render() -> None:
    """The page of the audit that the URL names, or the newest one."""
    audits = [run for run in loading.runs() if run.report is not None]
    run = choose_of(audits, "Reward accuracy", NO_AUDIT)
    if run is None or run.report is None:
        return
    st.title("What the rewards tell apart")
    show_agreement(run.report.accuracy)
    st.subheader("Who wrote what")
    st.caption(
        "Of two answers to one prompt, one of each policy: does the score rank the aligned one "
        "higher? The log-ratio is as good at this as anything can be; the recovered reward is out "
        "of fold. Neither is told which answers are better."
    )
    try:
        told = {label: measured.told_apart(run.path, column) for label, column in SCORES.items()}
    except RunError as error:
        st.text(str(error))
        return
    if not any(one.pairs for one in told.values()):
        st.text("There are no two answers to compare.")
        return
    _curves(told)
    _calibration(told)
    _lengths(told)
    _wrong(run.path, run.name)


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
    shown = {name: one for name, one in told.items() if one.bins}
    name = st.segmented_control("Of the", list(shown), default=next(iter(shown)), required=True)
    st.plotly_chart(
        training_figures.reliability(shown[name].bins),
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


def _wrong(run: Path, name: str) -> None:
    st.subheader("Read where it errs")
    score = st.segmented_control(
        "Ranked by the", list(SCORES), default="recovered reward", required=True, key="wrong_by"
    )
    key = f"wrong pairs of {name}, {score}"
    try:
        page = measured.wrong_pairs(run, SCORES[score], st.session_state.get(key, 1))
    except RunError as error:
        st.text(str(error))
        return
    st.caption("The reference's answer has the higher score; the widest margins first.")
    columns: dict[str, Any] = {
        "margin": nats("margin, nats"),
        "prompt": _text("prompt", width="medium"),
        "aligned": _text("aligned", width="large"),
        "reference": _text("reference", width="large"),
    }
    table(page.rows, columns, height="content")
    st.pagination(page.n_pages, key=key)
    st.caption(f"{page.n} pairs")
