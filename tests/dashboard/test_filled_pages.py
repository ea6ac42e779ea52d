"""Every page on the tracked examples: the figures that it is for are there, and none is empty."""

import json
import os
from pathlib import Path

import pytest
import streamlit as st

from dashboard import RUNS_VARIABLE
from dashboard.loading import EXAMPLES
from tests.dashboard.shown import component, drawn, elements

pytestmark = pytest.mark.slow


FIGURES: dict[str, tuple[str, dict[str, str], list[str]]] = {
    "audit": (
        "run",
        {"run": "detox"},
        ["Weights of terms with their intervals", "What a standard deviation of each aspect"],
    ),
    "accuracy": (
        "accuracy",
        {"run": "detox"},
        [
            "A figure of every method with its interval, and of every seed",
            "Share of aligned answers over share of reference answers",
            "Share of pairs ranked right over the probability",
            "Share of pairs ranked right by the difference in length",
            "Share of pairs ranked right in each group of prompts",
            "How many answers have which true reward and which score",
            "Variance of the weights and coverage of their intervals",
        ],
    ),
    "recovery": (
        "accuracy",
        {"run": "detox-log-ratio"},
        ["A figure of every method with its interval, and of every seed"],
    ),
    "drift": (
        "drift",
        {"run": "detox"},
        [
            "Log-ratios of both policies' responses",
            "Drift by token position",
            "Mean log-ratio of tokens that moved",
            "Mean log-ratio of the answers to each group of prompts",
            "Prompts by their words, coloured by the drift",
        ],
    ),
    "align": (
        "training",
        {"run": "aligned-with-a-weak-member"},
        ["Gains, KL, length and entropy over training steps"],
    ),
    "extrapolate": (
        "training",
        {"run": "beyond-detox"},
        ["Gain of the recovered reward over KL, along every path"],
    ),
    "ensemble": (
        "training",
        {"run": "ensemble"},
        ["Share of pairs ranked right over the probability"],
    ),
    "best of n": (
        "training",
        {"run": "best-of-n"},
        ["Gains of proxy and gold over KL"],
    ),
    "series": (
        "drift",
        {"run": "checkpoints-of-a-training"},
        ["Drift", "Entropy", "Length", "What each checkpoint's answers ask for"],
    ),
    "prices": (
        "attributions",
        {"run": "detox", "part": "terms and aspects"},
        ["Weights of terms with their intervals", "What a standard deviation of each aspect"],
    ),
    "trust": (
        "trust",
        {"run": "trust-in-the-ensemble"},
        ["Epistemic over aleatoric variance", "Share of the responses in each category"],
    ),
    "prompts": (
        "trust",
        {"run": "prompts-for-queries"},
        ["Regret of every method's choices"],
    ),
    "compare": (
        "compare",
        {"run": "detox", "with": "real-detox"},
        ["Weights of terms in every audit"],
    ),
    "export": (
        "export",
        {"run": "detox"},
        [
            "Weights of terms",
            "What aspects are worth",
            "Drift by position",
            "Tokens that moved",
            "Log-ratios of responses",
        ],
    ),
}


@pytest.fixture(autouse=True)
def on_the_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RUNS_VARIABLE, os.fspath(EXAMPLES))
    st.cache_data.clear()


@pytest.mark.parametrize("name", FIGURES)
def test_the_figures_of_a_page_are_there_and_filled(name: str):
    view, query, alts = FIGURES[name]
    asked = drawn(view, **query)
    charts = [e.proto for e in elements(asked._tree) if e.type == "plotly_chart"]
    assert len(charts) == len(alts)
    for chart, alt in zip(charts, alts, strict=True):
        assert chart.alt.startswith(alt)
        traces = json.loads(chart.spec)["data"]
        assert traces
        assert all(trace.get("x") for trace in traces)
    assert all(len(table.value) for table in asked.dataframe)
    assert all(metric.proto.help for metric in asked.metric), "each figure says what it means"


def test_a_response_is_shown_token_by_token_beside_the_others():
    asked = drawn("attributions", run="detox", find="buffoon")
    response = asked.dataframe[0].value["response_id"].iloc[0]
    read = drawn("attributions", run="detox", response=response)
    given = component(read)
    assert given is not None
    assert given["tokens"]
    tokens = [e for e in elements(read._tree) if e.type == "bidi_component"]
    assert len(tokens) == 8  # four answers of each policy


def test_the_examples_are_whole_and_small():
    assert {"real-detox", "detox", "null-finetuned"} <= {path.name for path in EXAMPLES.iterdir()}
    size = sum(file.stat().st_size for file in Path(EXAMPLES).rglob("*") if file.is_file())
    assert size < 20_000_000
