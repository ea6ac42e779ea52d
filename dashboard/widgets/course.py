"""The course of a policy's training, also while it goes on."""

from pathlib import Path
from typing import Final

import streamlit as st

from dashboard import loading
from dashboard.widgets.plain import PLOT, estimate, fact
from explain import training_figures
from irl.records import AlignReport, AlignStep

LIVE_SECONDS: Final = 3
WARNINGS: Final = {
    "gold-falls": "gold is below its peak while the reward still rises",
    "members-fall": "the lowest quarter of the members is below its peak while the reward rises",
    "members-apart": "the lowest quarter of the members gains much less than the reward",
    "out-of-range": "the reward gains more than answers of the reference ever span",
    "length-drift": "answers are less than half, or more than twice, as long",
    "entropy-collapse": "answers hold less than a quarter of the reference's entropy",
}
"Codes of warnings in words"


def show_course(run: loading.Run) -> None:
    """Warnings first, then what was gained at what KL.

    Raises:
        RunError: the run's files cannot be read.
    """
    if run.state == "unfinished":
        st.title("A policy in training")
        _course_live(run.path)
        return
    report = loading.record(run.path, "align.json", AlignReport)
    st.title("A policy, aligned" if not report.stopped else "A policy, stopped by a warning")
    with st.container(horizontal=True, gap="medium"):
        fact("reward", report.reward)
        fact("policy", report.policy)
        fact("gold", report.gold or "not known")
        fact("method", f"{report.method}, beta {report.beta:g}, {report.steps} steps")
    _warned([caveat.text for caveat in report.caveats])
    _course(loading.looks(run.path))


@st.fragment(run_every=LIVE_SECONDS)
def _course_live(run: Path) -> None:
    """Read anew every few seconds; the page is drawn again when the run has ended."""
    if (run / "manifest.json").is_file():
        st.rerun()
    steps = loading.looks(run)
    if not steps:
        st.info("It has not been looked at yet; the first look comes before the first step.")
        return
    told = [
        f"Step {one.step}: {WARNINGS.get(code, code)}." for one in steps for code in one.warnings
    ]
    _warned(told)
    _course(steps)


def _warned(sentences: list[str]) -> None:
    st.subheader("Warnings of over-optimisation")
    for sentence in sentences:
        st.text(f"• {sentence}")
    if not sentences:
        st.text("None. A quiet run proves nothing: members that share data share errors.")


def _course(steps: list[AlignStep]) -> None:
    if not steps:
        st.text("This run kept no looks.")
        return
    last = steps[-1]
    st.subheader(f"At step {last.step}")
    with st.container(horizontal=True):
        estimate("gain of the reward", last.proxy, 2)
        estimate("gain of gold", last.gold, 2)
        estimate("KL(policy ‖ reference), nats", last.kl_nats, 2)
        estimate("tokens per answer", last.length_tokens, 1)
    st.caption(
        "Means over prompts that no training sees, with 95 % intervals. Gains are over the "
        f"reference's answers ({last.reference_length_tokens:.1f} tokens) to the same prompts. "
        "Dashed lines: a warning was first given."
    )
    st.plotly_chart(
        training_figures.training_curves(steps),
        config=PLOT,
        alt="Gains, KL, length and entropy over training steps",
    )
