"""The tracked example runs: small, whole, and without what must not be kept."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard import RUNS_VARIABLE, answers, loading
from explain.jobs import examples
from explain.jobs.example_recoveries import Recoveries, make_recoveries
from explain.jobs.example_trainings import Trainings, make_trainings
from explain.jobs.examples import Example, make_examples
from irl.errors import InputError, RunError
from irl.records import BestOfNReport, Manifest, RecoveryReport, SeriesReport
from irl.runs import list_runs, read_record
from tests.explain import reports
from tests.fakes import save_pair

pytestmark = pytest.mark.slow

ANSWERS = {"responses.parquet", "tokens.parquet"}
KEPT = {
    *("aspects.parquet", "config.yaml", "report.json"),
    *("reward/terms.json", "reward/terms.safetensors"),
}


def write_pair(folder: Path, *, labelled: bool) -> Path:
    save_pair(folder)
    prompts = [{"prompt": f"what now, number {n}?"} for n in range(12)]
    rows = [{**row, "chosen": " a fine idea", "rejected": " a bad idea"} for row in prompts]
    (folder / "truth.json").write_text(reports.truth({"fine": 1.0}).to_json(), encoding="utf-8")
    for name, lines in (
        ("prompts", prompts[:6]),
        ("heldout_preferences", rows if labelled else []),
    ):
        if lines:
            text = "".join(json.dumps(line) + "\n" for line in lines)
            (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Example, ...]:
    folder = tmp_path_factory.mktemp("models")
    return (
        Example(write_pair(folder / "silent", labelled=True), "one", "rloo", answers=False),
        Example(write_pair(folder / "spoken", labelled=False), "another", "sft"),
    )


@pytest.fixture(scope="module")
def made(pairs: tuple[Example, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once, one of them over an older one."""
    root = tmp_path_factory.mktemp("artifacts") / "examples"
    (root / "silent").mkdir(parents=True)
    (root / "silent" / "config.yaml").write_text("of an older making", encoding="utf-8")
    return make_examples(root, pairs, None, None)


@pytest.fixture
def looked_at(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The examples, as the dashboard finds them."""
    monkeypatch.setenv(RUNS_VARIABLE, os.fspath(made))
    monkeypatch.setattr(loading, "EXAMPLES", made)
    st.cache_data.clear()
    return made


@pytest.mark.parametrize(("name", "answers"), [("silent", set()), ("spoken", ANSWERS)])
def test_the_manifest_lists_exactly_the_files_that_are_there(
    name: str, answers: set[str], made: Path
):
    run = made / name
    manifest = Manifest.model_validate_json((run / "manifest.json").read_bytes())
    assert set(manifest.files) == KEPT | answers
    files = {file.relative_to(run).as_posix() for file in run.rglob("*") if file.is_file()}
    assert files == set(manifest.files) | {"manifest.json", "log.jsonl"}
    for file, digest in manifest.files.items():
        assert digest == hashlib.sha256((run / file).read_bytes()).hexdigest()
    assert manifest.counts["responses"] == 2 * 4 * 6


def test_the_examples_are_small_and_nothing_else_is_left(made: Path):
    assert {path.name for path in made.iterdir()} == {"silent", "spoken", "README.md"}
    size = sum(file.stat().st_size for file in made.rglob("*") if file.is_file())
    assert size < examples.MAX_BYTES


def test_the_readme_says_how_they_were_made_and_what_is_left_out(made: Path):
    text = (made / "README.md").read_text(encoding="utf-8")
    assert "`irl runs examples`" in text
    assert "| silent | one | no |" in text
    assert "| spoken | another | yes |" in text


def test_the_dashboard_reads_them_as_finished_examples(looked_at: Path):
    found = {run.name: run for run in loading.runs()}
    assert set(found) == {"silent", "spoken"}
    for run in found.values():
        assert (run.state, run.problem, run.example) == ("finished", None, True)
        assert run.report is not None
    assert [bool(found[name].report.accuracy) for name in ("silent", "spoken")] == [True, False]
    assert answers.responses(looked_at / "spoken").n == 48


def test_trainings_are_made_of_a_pair_and_leave_no_weights_behind(
    made: Path, pairs: tuple[Example, ...], tmp_path: Path
):
    root = shutil.copytree(made, tmp_path / "examples")
    small = {"steps": 2, "batch": 8, "answers_per_prompt": 4, "max_new_tokens": 4, "member": 0}
    members = {"form": "linear", "confidences": [], "learning": {"epochs": 2, "seeds": [0, 1]}}
    trainings = Trainings(
        pair=pairs[0].pair,
        audit="silent",
        ensemble=members,
        align={**small, "watched_prompts": 2, "watch_every": 1},
        series={"prompt_limit": 4, "sampling": {"responses_per_prompt": 2}},
        answers={"prompt_limit": 4, "sampling": {"responses_per_prompt": 4}},
        path={"alphas": [-1.0, 0.0, 0.5], "random_directions": 1, "max_new_tokens": 4},
    )
    names = make_trainings(root, trainings)
    found = {run.path.name: run for run in list_runs(root)}
    commands = ["ensemble", "align", "drift", "extrapolate", "best-of-n"]
    assert [found[name].command for name in names] == commands
    assert all(found[name].state == "finished" for name in names)
    assert not list((root / names[1]).rglob("*.safetensors"))
    assert (root / names[1] / "steps.jsonl").is_file()
    series = read_record(root / names[2] / "series.json", SeriesReport)
    assert [one.name for one in series.checkpoints] == ["checkpoint-1", "checkpoint-2"]
    picked = read_record(root / names[4] / "best_of_n.json", BestOfNReport)
    assert [one.n for one in picked.points] == [1, 2, 4]
    assert picked.gold == str(pairs[0].pair / "gold")


def test_recoveries_by_several_methods_leave_their_answers_out(
    pairs: tuple[Example, ...], tmp_path: Path
):
    recoveries = Recoveries(
        pairs[0].pair,
        ("log-ratio", "bradley-terry"),
        {
            **{"sampling": {"responses_per_prompt": 4, "max_new_tokens": 8}},
            **{"fitting": {"min_responses": 2}, "learning": {"epochs": 2, "seeds": [0, 1]}},
        },
    )
    names = make_recoveries(tmp_path, recoveries)
    assert names == ["silent-log-ratio", "silent-bradley-terry"]
    for name in names:
        report = read_record(tmp_path / name / "recovery.json", RecoveryReport)
        assert report.by_seed is not None
        assert [one.seed for one in report.by_seed] == [0, 1]
        files = {file.name for file in (tmp_path / name).iterdir()}
        assert files & ANSWERS == set()
    assert {run.state for run in list_runs(tmp_path)} == {"finished"}


def run_page() -> None:
    from dashboard.views import run

    run.render()


def test_the_page_of_an_example_without_answers_says_so_calmly(looked_at: Path):
    page = AppTest.from_function(run_page, default_timeout=60)
    page.query_params["run"] = "silent"
    page.run()
    assert not page.exception
    assert not page.error
    assert not any("Attributions" in caption.value for caption in page.caption)


def test_too_large_examples_are_refused_and_the_old_ones_stay(
    pairs: tuple[Example, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "silent").mkdir()
    (tmp_path / "silent" / "old").touch()
    monkeypatch.setattr(examples, "MAX_BYTES", 1000)
    with pytest.raises(RunError, match="at most 1,000"):
        make_examples(tmp_path, pairs[:1], None, None)
    assert [path.name for path in tmp_path.rglob("*")] == ["silent", "old"]


def test_a_pair_that_is_not_there_is_refused_before_any_work(
    pairs: tuple[Example, ...], tmp_path: Path
):
    absent = Example(tmp_path / "absent", "nothing", "rloo")
    with pytest.raises(InputError, match=r"absent .* `irl organisms build`"):
        make_examples(tmp_path / "examples", [*pairs, absent], None, None)
    assert not (tmp_path / "examples").exists()


def test_what_is_tracked_is_under_the_limit_and_no_answer_to_real_text_is_in_it():
    root = Path(__file__).parents[2] / examples.EXAMPLES
    files = [file for file in root.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < examples.MAX_BYTES
    assert not [file for file in files if file.suffix == ".html"]
    for pair in examples.PAIRS:
        kept = {file.name for file in (root / pair.name).iterdir()} & ANSWERS
        assert kept == (ANSWERS if pair.answers else set())
    assert {run.state for run in list_runs(root)} == {"finished"}
