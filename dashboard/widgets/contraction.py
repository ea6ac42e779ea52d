"""What more prompts would tell of the weights: does the posterior narrow, and does it hold?"""

from collections.abc import Sequence

import streamlit as st

from dashboard.widgets.plain import PLOT
from explain import recovery_figures
from irl.records import Contraction


def show_contraction(rows: Sequence[Contraction]) -> None:
    """The posterior of the paid weights over the number of prompts, with its coverage."""
    st.subheader("What more prompts tell")
    st.caption(
        "The posterior of the weights of the paid terms, from who wrote what alone, by parts of "
        "the prompts. That it narrows is no evidence that it is right: it does so as well where a "
        "coin says who wrote what. Evidence is whether its 95 % intervals hold what the other "
        "prompts say and, where it is known, what was planted; they miss that more often with more "
        "prompts where the reward is more than these terms, or was not learnt in full."
    )
    st.plotly_chart(
        recovery_figures.contraction(rows),
        config=PLOT,
        alt="Variance of the weights and coverage of their intervals over the number of prompts",
    )
    first, last = rows[0], rows[-1]
    st.caption(
        f"{last.weights} weights; with all {last.prompts} prompts their variance is "
        f"{last.trace / first.trace:.1%} of what was assumed. Intervals of coverage are over parts "
        "and weights."
    )
