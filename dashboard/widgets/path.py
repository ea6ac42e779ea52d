"""A path through a pair, and beyond the aligned policy: gains over KL."""

from typing import Any

import streamlit as st

from dashboard import loading
from dashboard.widgets.plain import PLOT, estimate, fact, sentences, table, told
from explain import training_figures
from irl.records import ExtrapolationReport, PathPoint

_text, _number = st.column_config.TextColumn, st.column_config.NumberColumn


def show_path(run: loading.Run) -> None:
    """Beside its controls.

    Raises:
        RunError: the run's report cannot be read.
    """
    report = loading.record(run.path, "extrapolation.json", ExtrapolationReport)
    st.title("Beyond the aligned policy")
    with st.container(horizontal=True, gap="medium"):
        fact("reward", report.reward)
        fact("gold", report.gold or "not known")
        fact("prompts", str(report.prompts))
    sentences("What stands against it", report.caveats)
    with st.container(horizontal=True):
        estimate("gain in random directions, beyond the aligned policy", report.random_gain, 3)
    st.caption(
        "A recovered reward rises along the path whatever is true: it was read from that very "
        "pair. Hold it against KL, gold, and directions of the same length drawn at random."
    )
    st.plotly_chart(
        training_figures.reward_over_kl(report.points),
        config=PLOT,
        alt="Gain of the recovered reward over KL, along every path",
    )
    if any(point.gold is not None for point in report.points):
        st.plotly_chart(
            training_figures.reward_over_kl(report.points, gold=True),
            config=PLOT,
            alt="Gain of gold over KL, along every path",
        )
    with st.expander(f"All {len(report.points)} points as a table"):
        names = ("reward", "gold", "KL, nats", "entropy, nats", "tokens")
        columns = {"path": _text("path"), "alpha": _number("alpha", format="%+.2f")}
        table([_point(point) for point in report.points], columns | {n: _text(n) for n in names})


def _point(point: PathPoint) -> dict[str, Any]:
    return {
        "path": point.path,
        "alpha": point.alpha,
        "reward": told(point.reward),
        "gold": told(point.gold),
        "KL, nats": told(point.kl_nats),
        "entropy, nats": told(point.entropy_nats),
        "tokens": told(point.length_tokens, 1),
    }
