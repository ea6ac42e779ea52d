"""Which prompt for which query, and under which prompts a policy goes wrong."""

from pathlib import Path
from typing import Any

import streamlit as st

from dashboard import loading, triage
from dashboard.widgets.pages import open_page, turn_pages
from dashboard.widgets.plain import PLOT, estimate, fact, sentences, table, told
from explain import trust_figures
from irl.records import ChoiceFigures, OutcomeFigures, PromptsReport

_text, _number = st.column_config.TextColumn, st.column_config.NumberColumn


def show_prompts(run: loading.Run) -> None:
    """The advice, what it is worth, the prompts, the red-team list, every query.

    Raises:
        RunError: the run's report or table cannot be read.
    """
    report = loading.record(run.path, "prompts.json", PromptsReport)
    st.title(f"Prompts: {report.advice}")
    with st.container(horizontal=True, gap="medium"):
        fact("from a", report.source)
        fact("by", report.reward)
        fact("in", report.unit)
        fact("queries", str(report.queries))
        fact("candidates", str(report.candidates))
    st.caption("The best single prompt")
    st.code(report.single, language=None, wrap_lines=True)
    sentences("What stands against it", report.caveats)
    _methods(report.methods, report.judged_queries)
    _head(report.head)
    _lists(report)
    _choices(run.path)


def _methods(methods: list[ChoiceFigures], judged: int) -> None:
    if not methods:
        return
    st.subheader("What the choices are worth")
    st.caption(
        f"On {judged} queries whose outcomes under every prompt are known and had no part in the "
        "choice. The oracle picks the best one; a prompt per query is advised only where it beats "
        "the best single prompt with its whole interval."
    )
    if any(one.regret is not None for one in methods):
        st.plotly_chart(
            trust_figures.regrets(methods),
            config=PLOT,
            alt="Regret of every method's choices to the oracle",
        )
    names = ("method", "regret", "worst prompt's regret", "outcome", "more than the single prompt")
    columns = {name: _text(name) for name in names}
    table([_method(one) for one in methods], columns, height="content")


def _method(one: ChoiceFigures) -> dict[str, Any]:
    return {
        "method": one.method,
        "regret": told(one.regret),
        "worst prompt's regret": told(one.worst_regret),
        "outcome": told(one.outcome),
        "more than the single prompt": told(one.beyond_single),
    }


def _head(head: OutcomeFigures | None) -> None:
    if head is None:
        return
    st.subheader("How right the head is")
    with st.container(horizontal=True):
        estimate("accuracy of outcomes", head.accuracy, 2)
        estimate("AUC", head.auc, 2)
        estimate("AUC between prompts of a query", head.auc_within_queries, 2)
        estimate("ECE of its probabilities", head.calibration_error, 3)


def _lists(report: PromptsReport) -> None:
    st.subheader("Every prompt")
    rows = [one.model_dump() | {"outcome": told(one.outcome)} for one in report.prompts]
    columns: dict[str, Any] = {"prompt": _text("prompt", width="large")}
    columns |= {"outcome": _text("mean outcome"), "tried": _number("queries tried on")}
    columns |= {"chosen": _number("best for"), "avoided": _number("worst for")}
    table(rows, columns, height="content")
    st.subheader("Worst together")
    st.caption(
        "Prompts and queries that go badly together. Again: what had no part in the choice, for "
        "the worst of many noisy numbers is low by luck."
    )
    worst: dict[str, Any] = {
        "prompt": _text("prompt", width="medium"),
        "query": _text("query", width="medium"),
        "value": _number("value", format="%.3f"),
        "again": _number("again", format="%.3f"),
        "response": _text("worst answer", width="large"),
    }
    table([one.model_dump() for one in report.red_team], worst, height="content")


def _choices(run: Path) -> None:
    st.subheader("Query by query")
    page = triage.choices(run, open_page())
    columns: dict[str, Any] = {
        "query": _text("query", width="medium"),
        "advised_prompt": _text("advised", width="medium"),
        "best_prompt": _text("best", width="medium"),
        "best_value": _number("value", format="%.3f"),
        "best_low": _number("low", format="%.3f"),
        "best_high": _number("high", format="%.3f"),
        "worst_prompt": _text("worst", width="medium"),
        "worst_value": _number("value", format="%.3f"),
        "worst_low": _number("low", format="%.3f"),
        "worst_high": _number("high", format="%.3f"),
    }
    table(page.rows, columns, height="content")
    turn_pages(page, "queries")
