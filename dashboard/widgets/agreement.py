"""How far scores agree with labels that were given."""

from collections.abc import Iterator
from typing import Any, Final

import streamlit as st

from dashboard.widgets.plain import table
from explain.comparison import SCORERS
from irl.records import Accuracy, Estimate

FIGURES: Final = {
    "preference": "pairs ranked as labelled",
    "auc": "AUC within the prompt",
    "spearman": "Spearman",
    "ece": "calibration error (ECE)",
    "length_controlled": "pairs ranked as labelled, length controlled",
}
_text, _number = st.column_config.TextColumn, st.column_config.NumberColumn


def show_agreement(accuracy: list[Accuracy]) -> None:
    """Every figure of every scorer, with its interval and n."""
    st.subheader("Agreement with labels")
    rows = list(_agreement_rows(accuracy))
    if not rows:
        st.text("No labels were given.")
        return
    columns = {name: _number(name, format="%.3f") for name in ("value", "low", "high")}
    names = {name: _text(name) for name in ("figure", "scorer", "labels")}
    table(rows, {**names, **columns, "n": _number("n")}, height="content")


def _agreement_rows(accuracy: list[Accuracy]) -> Iterator[dict[str, Any]]:
    for key, figure in FIGURES.items():
        for row in accuracy:
            measured: Estimate | None = getattr(row, key)
            if measured is not None:
                names = {"figure": figure, "scorer": SCORERS[row.scorer], "labels": row.labels}
                yield names | measured.model_dump()
