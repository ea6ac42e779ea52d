"""What a reward ensemble knows of held-out pairs, and whether it knows where it errs."""

from typing import Any

import streamlit as st

from dashboard import loading
from dashboard.widgets.plain import PLOT, estimate, fact, figure, sentences, table, told
from explain import training_figures
from irl.records import Abstention, EnsembleReport, PairFigures

_text, _number = st.column_config.TextColumn, st.column_config.NumberColumn


def show_ensemble(run: loading.Run) -> None:
    """Accuracy, calibration, disagreement, abstention.

    Raises:
        RunError: the run's report cannot be read.
    """
    report = loading.record(run.path, "ensemble.json", EnsembleReport)
    st.title("A reward ensemble")
    with st.container(horizontal=True, gap="medium"):
        fact("members", f"{report.members}, {report.reward}")
        fact("diversity", report.diversity)
        fact("loss", report.loss)
        fact("aggregation", report.aggregation)
        fact("pairs", f"{report.training_pairs} to train, {report.held_out_pairs} held out")
    sentences("What stands against it", report.caveats)
    st.subheader("On held-out pairs")
    columns = {name: _text(name) for name in ("scorer", "accuracy", "Brier", "ECE")}
    table([_scorer(one) for one in report.figures], columns | {"ties": _number("ties")})
    _reliability(report.figures)
    st.subheader("Does disagreement tell where it errs?")
    spread = report.disagreement
    with st.container(horizontal=True):
        estimate("spread of the members' margins", spread.mean_sd, 2)
        estimate("AUC of errors by the spread", spread.auc_of_errors, 2)
        estimate("AUC of errors by a small margin", spread.auc_of_small_margins, 2)
    st.caption("An AUC of one half tells nothing. A small margin costs no ensemble.")
    if report.abstention:
        st.subheader("Abstention")
        names = ("covered", "answered", "accuracy where answered")
        columns = {"confidence": _number("confidence", format="%.2f")}
        table(
            [_abstained(one) for one in report.abstention], columns | {n: _text(n) for n in names}
        )


def _scorer(one: PairFigures) -> dict[str, Any]:
    return {
        "scorer": one.scorer,
        "accuracy": told(one.accuracy),
        "Brier": told(one.brier),
        "ECE": told(one.ece),
        "ties": one.ties,
    }


def _reliability(figures: list[PairFigures]) -> None:
    drawn = {one.scorer: one for one in figures if one.reliability}
    if not drawn:
        figure("reliability", None)
        return
    scorer = st.segmented_control(
        "Reliability of", list(drawn), default=next(iter(drawn)), required=True
    )
    st.plotly_chart(
        training_figures.reliability(drawn[scorer].reliability),
        config=PLOT,
        alt="Share of pairs ranked right over the probability that the scores give",
    )


def _abstained(one: Abstention) -> dict[str, Any]:
    return {
        "confidence": one.confidence,
        "covered": told(one.covered),
        "answered": told(one.answered),
        "accuracy where answered": told(one.accuracy_answered),
    }
