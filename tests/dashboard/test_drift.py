"""The page about drift, without a browser."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard.widgets import run_choice
from irl.runs import open_run
from tests.browser.test_series import hostile_series
from tests.dashboard.samples import MARK, audit_report, write_audit, write_report
from tests.dashboard.shown import drawn, elements, view

pytestmark = pytest.mark.slow


def page(**query: str) -> AppTest:
    return drawn("drift", **query)


def test_without_audits_the_page_says_so(root: Path):
    assert "no audit yet" in page().info[0].value


def test_drift_is_shown_by_response_position_token_and_prompt(root: Path):
    write_audit(root, "good")
    shown = page(run="good")
    assert [one.value for one in shown.subheader] == [
        "Response by response",
        "By position",
        "Tokens that moved",
        "By prompt",
        "Map of prompts",
    ]
    assert len(shown.get("plotly_chart")) == 3
    assert len(shown.metric) == 4
    prompts = shown.dataframe[0].value
    assert list(prompts["kl_nats"]) == sorted(prompts["kl_nats"], reverse=True)
    for kind in (shown.markdown, shown.caption, shown.title, shown.subheader):
        assert MARK not in " ".join(one.value for one in kind)


def test_an_audit_without_answers_has_its_figures_and_says_what_is_missing(root: Path):
    write_report(root, "bare", audit_report("bare").to_json())
    shown = page(run="bare")
    assert len(shown.metric) == 4
    assert [one.value for one in shown.text] == ["This run has no responses.parquet."] * 3


def test_drift_is_told_by_group_of_prompts(root: Path):
    path = write_audit(root, "good") / "responses.parquet"
    assert "By group of prompts" not in [one.value for one in page(run="good").subheader]
    table = pq.read_table(path)
    at = table.column_names.index("prompt")
    kinds = ("hello there", "what do you think of that")
    prompts = pa.array([kinds[one % 20 % 2] for one in range(table.num_rows)])
    pq.write_table(table.set_column(at, "prompt", prompts), path)
    st.cache_data.clear()
    shown = page(run="good")
    assert "By group of prompts" in [one.value for one in shown.subheader]
    (chart,) = (
        json.loads(e.proto.spec)
        for e in elements(shown._tree)
        if e.type == "plotly_chart" and e.proto.alt.startswith("Mean log-ratio of the answers to")
    )
    aligned = [float(one) for one in range(60) if one % 3]
    means = [np.mean([one for one in aligned if one % 20 % 2 == kind]) for kind in (0, 1)]
    assert sorted(
        about[1] < mean < about[2]
        for about, mean in zip(chart["data"][0]["customdata"], means, strict=True)
    ) == [True, True]


def test_the_answers_to_the_prompt_in_the_url_stand_below_the_map(root: Path):
    write_audit(root, "good")
    shown = page(run="good", response="p31-a0")  # aligned 11 and 31, reference 51
    assert list(shown.dataframe[-1].value["log_ratio_nats"]) == [31.0, 11.0, 51.0]
    assert any("number 31?" in code.value for code in shown.code)
    (link,) = (e.proto for e in elements(shown._tree) if e.type == "link_button")
    assert link.url == "attributions?run=good&response=p31-a0"
    unknown = page(run="good", response="no such")
    assert "has no response of this id" in " ".join(one.value for one in unknown.text)


def test_prompts_with_shared_words_have_a_map_and_others_do_not(root: Path):
    path = write_audit(root, "good") / "responses.parquet"
    assert page(run="good").text[-1].value == "The prompts share too few words to be laid out."
    table = pq.read_table(path)
    kinds = ("hello dear friend", "please add two and three", "hello, please add two")
    prompts = pa.array([kinds[at % 20 % 3] for at in range(table.num_rows)])
    at = table.column_names.index("prompt")
    pq.write_table(table.set_column(at, "prompt", prompts), path)
    st.cache_data.clear()
    shown = page(run="good")
    charts = [e.proto for e in elements(shown._tree) if e.type == "plotly_chart"]
    assert charts[-1].alt.startswith("Prompts by their words")
    assert len(json.loads(charts[-1].spec)["data"][0]["customdata"]) == 20


def test_the_run_stays_the_same_from_page_to_page_and_stands_in_the_url(root: Path):
    write_audit(root, "one")
    write_audit(root, "other")
    asked = view("drift")
    asked.session_state[run_choice.LAST] = "one"
    asked.run()
    assert asked.query_params["run"] == "one"
    assert asked.selectbox[0].value == "one"


def write_series(root: Path, name: str) -> Path:
    run = open_run("drift", {"aligned": ["a", "b"]}, {}, root / name)
    run.write_text("series.json", hostile_series().to_json())
    run.finish({})
    return run.path


def test_a_series_of_checkpoints_stands_among_the_audits(root: Path):
    path = write_series(root, "series")
    shown = page(run="series")
    assert shown.title[0].value == "A training, checkpoint by checkpoint"
    assert len(shown.get("plotly_chart")) == 4
    charts = " ".join(e.proto.spec for e in elements(shown._tree) if e.type == "plotly_chart")
    assert not any(tag in charts for tag in ("<img", "u003cimg", "<a ", "u003ca "))
    (path / "series.json").unlink()
    assert "This run has no series.json." in [one.value for one in page(run="series").text]
