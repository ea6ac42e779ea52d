"""A training, checkpoint by checkpoint: drift, entropy, length and the weights of terms."""

from typing import Final

import streamlit as st

from dashboard import loading
from dashboard.widgets.plain import PLOT, fact, sentences
from explain.series_page import series_figures
from irl.records import SeriesReport

TITLES: Final = {
    "kl": "Drift",
    "entropy": "Entropy",
    "length": "Length",
    "Terms": "What each checkpoint's answers ask for",
}
"Of the figures; a kind of weights is called what it is"


def show_series(run: loading.Run) -> None:
    """Every figure over the checkpoints.

    Raises:
        RunError: the run's report cannot be read.
    """
    report = loading.record(run.path, "series.json", SeriesReport)
    st.title("A training, checkpoint by checkpoint")
    with st.container(horizontal=True, gap="medium"):
        fact("checkpoints", str(len(report.checkpoints)))
        fact("reference", report.reference.source)
        fact("from", report.checkpoints[0].policy.source)
        fact("to", report.checkpoints[-1].policy.source)
    sentences("What stands against it", report.caveats)
    for name, figure in series_figures(report).items():
        st.subheader(TITLES.get(name, name))
        st.plotly_chart(figure, config=PLOT, alt=f"{TITLES.get(name, name)} over checkpoints")
