"""The page about ensembles and RLHF, without a browser."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from irl.runs import open_run
from tests.dashboard.samples import (
    MARK,
    write_course,
    write_ensemble,
    write_path,
    write_picked,
)
from tests.dashboard.shown import drawn

pytestmark = pytest.mark.slow


def page(**query: str) -> AppTest:
    return drawn("training", **query)


def said(shown: AppTest) -> str:
    return " ".join(one.value for kind in (shown.title, shown.text, shown.info) for one in kind)


def charts(shown: AppTest) -> int:
    return len(shown.get("plotly_chart"))


def test_without_runs_the_page_says_what_makes_one(root: Path):
    shown = page()
    assert "irl align" in said(shown)
    assert "irl align --reward" in shown.code[0].value


def test_a_course_shows_its_warnings_and_curves(root: Path):
    write_course(root, "course")
    shown = page(run="course")
    assert "A policy, aligned" in said(shown)
    assert "Step 2: members disagree." in said(shown)
    assert [one.value for one in shown.metric] == ["0.40", "0.30", "0.80", "12.0"]
    assert charts(shown) == 1


def test_a_training_is_shown_while_it_goes_on(root: Path):
    write_course(root, "going", finished=False)
    shown = page(run="going")
    assert "A policy in training" in said(shown)
    assert "lowest quarter of the members gains much less" in said(shown)
    assert charts(shown) == 1
    open_run("align", {"reward": "r"}, {}, root / "new")
    assert "not been looked at yet" in said(page(run="new"))


def test_what_a_reward_picks_is_shown_beside_gold(root: Path):
    write_picked(root, "picked")
    shown = page(run="picked")
    assert "Best of n" in said(shown)
    assert charts(shown) == 1
    assert list(shown.dataframe[0].value["n"]) == [1, 2, 4]
    assert [one.value for one in shown.metric] == ["2.00", "1.50", "0.44"]
    assert any("refused rows" in one.value for one in shown.caption)
    for kind in (shown.markdown, shown.caption, shown.title, shown.subheader):
        assert MARK not in " ".join(one.value for one in kind)
    (root / "picked" / "best_of_n.json").write_text("{}", encoding="utf-8")
    assert "is not a report of irl best-of-n" in said(page(run="picked"))


def test_a_path_and_an_ensemble_are_shown(root: Path):
    write_path(root, "path")
    write_ensemble(root, "ensemble")
    path = page(run="path")
    assert "Beyond the aligned policy" in said(path)
    assert charts(path) == 2
    ensemble = page(run="ensemble")
    assert "A reward ensemble" in said(ensemble)
    assert charts(ensemble) == 1
    assert len(ensemble.dataframe) == 2


def test_damaged_files_are_said_so(root: Path):
    run = write_course(root, "course")
    (run.path / "align.json").write_text("{", encoding="utf-8")
    assert "align.json is not a report of irl align" in said(page(run="course"))
    path = write_path(root, "path")
    (path.path / "extrapolation.json").unlink()
    assert "no extrapolation.json" in said(page(run="path"))


def test_a_run_begun_and_left_says_how_it_goes_on(root: Path):
    open_run("ensemble", {}, {}, root / "left")
    assert "The command that began it continues it." in said(page(run="left"))


def test_what_a_run_says_of_itself_is_text(root: Path):
    for write in (write_course, write_path, write_ensemble):
        write(root, write.__name__)
        shown = page(run=write.__name__)
        assert MARK in said(shown)
        for kind in (shown.markdown, shown.caption, shown.title, shown.subheader):
            assert MARK not in " ".join(one.value for one in kind)
