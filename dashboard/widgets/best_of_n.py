"""What a reward gains when it picks among answers, and whether gold goes along."""

from typing import Any

import streamlit as st

from dashboard import loading
from dashboard.widgets.plain import PLOT, estimate, fact, sentences, table, told
from explain import training_figures
from irl.records import BestOfNReport, BestPoint, FittedForm
from irl.records.base import counted_in_words

_text, _number = st.column_config.TextColumn, st.column_config.NumberColumn


def show_best_of_n(run: loading.Run) -> None:
    """Curves of proxy and gold over n.

    Raises:
        RunError: the run's report cannot be read.
    """
    report = loading.record(run.path, "best_of_n.json", BestOfNReport)
    st.title("Best of n")
    with st.container(horizontal=True, gap="medium"):
        fact("picks", report.reward)
        fact("gold", report.gold or "not known")
        fact("answers", report.source)
        fact("prompts", f"{report.prompts}, with {report.answers} answers each or more")
    sentences("What stands against it", report.caveats)
    st.caption(
        "The answer that the reward picks of n, less one picked blindly: the mean over all "
        "subsets of n, intervals over prompts and answers. KL is ln n - (n - 1) / n at most. Where "
        "gold turns while the proxy still rises, the reward is over-optimised."
    )
    st.plotly_chart(
        training_figures.best_of_n(report),
        config=PLOT,
        alt="Gains of proxy and gold over KL, of the answer picked of n",
    )
    if report.form is not None:
        _form(report.form)
    names = ("proxy", "gold")
    columns = {"n": _number("n"), "kl": _number("KL, nats", format="%.2f")}
    table([_point(one) for one in report.points], columns | {n: _text(n) for n in names})
    if counted := counted_in_words(report.left_out):
        st.caption(f"Left out: {counted}.")


def _form(form: FittedForm) -> None:
    st.caption(f"Gold = d (alpha - beta d), d = √KL (2210.10760), fitted with R² {form.r2:.2f}.")
    with st.container(horizontal=True):
        estimate("alpha", form.alpha, 2)
        estimate("beta", form.beta, 2)
        estimate("gold is highest at KL, nats", form.peak_kl_nats, 2)


def _point(one: BestPoint) -> dict[str, Any]:
    return {"n": one.n, "kl": one.kl_nats, "proxy": told(one.proxy), "gold": told(one.gold)}
