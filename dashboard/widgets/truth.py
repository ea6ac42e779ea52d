"""Scores against what the aligned policy was really paid, where that is known."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import streamlit as st

from dashboard import measured
from dashboard.widgets.address import choose
from dashboard.widgets.plain import PLOT, table, told
from dashboard.widgets.told_apart import SCORES
from explain import recovery_figures
from explain.comparison import SCORERS
from irl.errors import RunError
from irl.records import TruthAgreement

FIGURES: Final = {
    "pearson": "Pearson",
    "spearman": "Spearman",
    "slope": "nats for a nat of true reward",
}
_text = st.column_config.TextColumn


def show_truth(run: Path, truth: Sequence[TruthAgreement]) -> None:
    """How near scores come to the true reward, in figures and answer by answer."""
    st.subheader("Against the true reward")
    st.caption(
        "The pair is an organism: what it was paid for is known, and was looked at only after "
        "everything was fitted. Within prompts, whose constants mean nothing; a policy that learnt "
        "what was paid in full has a slope of 1."
    )
    rows: list[dict[str, Any]] = [
        {"score": SCORERS[one.scorer]} | {name: told(getattr(one, name)) for name in FIGURES}
        for one in truth
    ]
    columns: dict[str, Any] = {"score": _text("score")}
    table(rows, columns | {name: _text(label) for name, label in FIGURES.items()}, height="content")
    _answers(run)


def _answers(run: Path) -> None:
    try:
        found = {name: measured.against_truth(run, column) for name, column in SCORES.items()}
    except RunError:
        return  # what is said of this run's answers stands above
    cells = {name: one for name, one in found.items() if one is not None}
    if not cells:
        return
    name = choose("Answer by answer, by the", list(reversed(cells)), "plane")
    st.plotly_chart(
        recovery_figures.against_truth(cells[name], name),
        config=PLOT,
        alt="How many answers have which true reward and which score",
    )
