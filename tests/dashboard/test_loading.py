import json
import os
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dashboard import RUNS_VARIABLE, answers, loading
from dashboard.queries import Wanted
from irl.errors import RunError
from irl.runs import RUNS, open_run
from tests.dashboard.samples import (
    HOSTILE,
    audit_report,
    responses_table,
    tokens_table,
    write_audit,
    write_report,
    write_unfinished,
)


def only_run() -> loading.Run:
    (run,) = loading.runs()
    return run


def column(page: answers.Page, name: str) -> list[object]:
    return page.rows[name].to_pylist()


def test_an_empty_root_has_no_runs(root: Path):
    assert loading.runs() == []


def test_a_root_that_is_not_there_has_no_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv(RUNS_VARIABLE, str(tmp_path / "nowhere"))
    assert loading.runs() == []


def test_without_a_named_root_runs_and_examples_are_looked_through(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(RUNS_VARIABLE, raising=False)
    assert loading.roots() == (RUNS, loading.EXAMPLES)


def test_a_finished_audit_comes_with_its_report(root: Path):
    path = write_audit(root)
    run = only_run()
    assert (run.name, run.path, run.state, run.problem) == (path.name, path, "finished", None)
    assert run.report == audit_report(json.loads((path / "manifest.json").read_text())["run_id"])


def test_an_unfinished_run_is_a_state(root: Path):
    write_unfinished(root, "half")
    run = only_run()
    assert (run.state, run.report) == ("unfinished", None)
    assert run.problem is not None


@pytest.mark.parametrize(
    "report", ["", "{", "[]", {}, {"schema": "irl.audit/2"}, "\x00"], ids=lambda r: repr(r)[:20]
)
def test_an_unreadable_report_makes_a_broken_run(root: Path, report: object):
    write_report(root, "bad", report)
    run = only_run()
    assert (run.state, run.report) == ("broken", None)
    assert "report.json" in (run.problem or "")


def test_a_missing_report_and_an_unreadable_manifest_make_a_broken_run(root: Path):
    (write_audit(root, "one") / "report.json").unlink()
    (write_audit(root, "two") / "manifest.json").write_text("{")
    assert {run.name: run.state for run in loading.runs()} == {"one": "broken", "two": "broken"}


def test_a_run_of_another_command_is_finished_without_a_report(root: Path):
    run = open_run("score", {}, {}, root / "scores")
    run.write_table("responses.parquet", responses_table(3))
    run.finish({})
    found = only_run()
    assert (found.state, found.report) == ("finished", None)
    assert "irl score" in (found.problem or "")
    assert answers.responses(found.path).n == 3


def test_a_report_that_is_replaced_is_read_again(root: Path):
    path = write_audit(root)
    assert only_run().report
    text = (path / "report.json").read_text().replace('"rloo"', '"dpo"')
    (path / "report.json").write_text(text)
    os.utime(path / "report.json", ns=(1, 1))
    report = only_run().report
    assert report is not None
    assert report.pair.trained_with == "dpo"


def test_of_two_runs_with_one_name_the_first_root_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    first, second = tmp_path / "a", tmp_path / "b"
    write_audit(first, "same")
    write_unfinished(second, "same")
    monkeypatch.setenv(RUNS_VARIABLE, f"{first}{os.pathsep}{second}")
    assert only_run().path == first / "same"


def test_examples_are_told_from_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    own, examples = tmp_path / "runs", tmp_path / "examples"
    write_audit(own, "mine")
    write_audit(examples, "theirs")
    monkeypatch.setenv(RUNS_VARIABLE, f"{own}{os.pathsep}{examples}")
    monkeypatch.setattr(loading, "EXAMPLES", examples)
    assert {run.name: run.example for run in loading.runs()} == {"mine": False, "theirs": True}


def test_pages_cover_every_response_once_in_the_order_written(root: Path):
    path = write_audit(root)
    pages = [answers.responses(path, number=number) for number in range(1, 5)]
    assert {page.n_pages for page in pages} == {4}
    nats = [value for page in pages for value in column(page, "log_ratio_nats")]
    assert nats == list(range(60))


def test_a_page_beyond_the_last_is_the_last(root: Path):
    path = write_audit(root)
    assert answers.responses(path, number=99).number == 4
    assert answers.responses(path, number=0).number == 1


def test_order_and_source_hold_over_the_whole_run(root: Path):
    path = write_audit(root)
    page = answers.responses(path, Wanted("aligned"), order="log-ratio, high to low")
    assert column(page, "log_ratio_nats")[:3] == [59.0, 58.0, 56.0]
    assert set(column(page, "source")) == {"aligned"}
    assert page.n == 40


@pytest.mark.parametrize("order", ["reward, high to low", "reward, low to high"])
def test_missing_rewards_come_last(root: Path, order: answers.Order):
    page = answers.responses(write_audit(root), order=order, number=99)
    assert column(page, "reward_nats")[-1] is None


def test_no_responses_make_one_empty_page(root: Path):
    page = answers.responses(write_audit(root, filled=False))
    assert (page.rows.num_rows, page.n_pages, page.n) == (0, 1, 0)
    assert page.rows.column_names == list(answers.COLUMNS)


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ('[{"role": "user", "content": "hi"}]', "hi"),
        (
            '[{"role": "system", "content": "be"}, {"role": "user", "content": "hi"}]',
            "system: be\nuser: hi",
        ),
        ("[{ not json", "[{ not json"),
        ('[{"role": "user"}]', '[{"role": "user"}]'),
        ("", ""),
    ],
)
def test_chats_are_shown_as_people_write_them(root: Path, stored: str, shown: str):
    path = write_audit(root)
    table = responses_table(1).drop_columns("prompt").append_column("prompt", pa.array([stored]))
    pq.write_table(table, path / "responses.parquet")
    assert column(answers.responses(path), "prompt") == [shown]


def test_responses_that_cannot_be_read_are_refused_with_a_reason(root: Path):
    path = write_audit(root)
    file = path / "responses.parquet"
    pq.write_table(pa.table({"prompt": ["?"]}), file)
    os.utime(file, ns=(1, 1))
    with pytest.raises(RunError, match="lacks the columns response_id, response"):
        answers.responses(path)
    file.write_text("no parquet")
    os.utime(file, ns=(2, 2))
    with pytest.raises(RunError, match="cannot be read"):
        answers.responses(path)
    file.unlink()
    with pytest.raises(RunError, match=r"has no responses\.parquet"):
        answers.responses(path)


def test_a_response_is_found_whatever_page_it_stands_on(root: Path):
    path = write_audit(root)
    row = answers.response(path, "p57-a0")
    assert (row["log_ratio_nats"], row["response"]) == (57.0, HOSTILE)
    for unknown in ("p99-a0", "", "' or 1=1"):
        with pytest.raises(RunError, match="no response of this id"):
            answers.response(path, unknown)


def test_the_tokens_of_a_response_come_with_their_nats(root: Path):
    answer = answers.tokens(write_audit(root), "p3-a0")
    assert (answer.source, answer.log_ratio_nats, answer.reward_nats) == ("reference", 3.0, -3.0)
    first, second, newline, end = answer.tokens
    assert (second.text, second.paid_for_nats, second.log_ratio_nats) == (HOSTILE, 3.0, -3.0)
    assert (first.aligned_nats, first.reference_nats) == (-1.0, -2.0)
    assert [token.special for token in answer.tokens] == [False, False, False, True]
    assert newline.text == "\n"
    assert end.text == "</s>"


def test_the_scale_is_that_of_the_whole_run(root: Path):
    path = write_audit(root)
    assert answers.scale(path, "paid_for") == pytest.approx(57.82)  # of 0.5, 1, 2, .. 59
    assert answers.scale(write_audit(root, "bare", filled=False), "paid_for") == 1.0


def test_tokens_that_cannot_be_read_are_refused_with_a_reason(root: Path):
    path = write_audit(root)
    file = path / "tokens.parquet"
    pq.write_table(tokens_table(60).drop_columns("reference_nats"), file)
    os.utime(file, ns=(1, 1))
    with pytest.raises(RunError, match=r"cannot be read \('reference_nats'\)"):
        answers.tokens(path, "p3-a0")
    uneven = tokens_table(1).set_column(1, "tokens", pa.array([["a"]]))
    pq.write_table(uneven, file)
    os.utime(file, ns=(2, 2))
    with pytest.raises(RunError, match="cannot be read"):
        answers.tokens(path, "p0-a0")
    with pytest.raises(RunError, match="no response of this id"):
        answers.tokens(path, "p3-a0")
    file.write_text("no parquet")
    os.utime(file, ns=(3, 3))
    for read in (lambda: answers.tokens(path, "p3-a0"), lambda: answers.scale(path, "paid_for")):
        with pytest.raises(RunError, match=r"tokens\.parquet cannot be read"):
            read()
    file.unlink()
    with pytest.raises(RunError, match=r"has no tokens\.parquet"):
        answers.tokens(path, "p3-a0")


def test_only_runs_of_the_roots_are_deleted(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write_audit(root, "good")
    (run,) = loading.runs()
    elsewhere = replace(run, path=tmp_path / "elsewhere")
    elsewhere.path.mkdir()
    (root / "link").symlink_to(elsewhere.path)
    for stays in (elsewhere, replace(run, path=root / "link"), replace(run, example=True)):
        with pytest.raises(RunError, match="it stays"):
            loading.delete(stays)
        assert stays.path.exists()
    loading.delete(run)
    assert loading.runs() == []
    assert not run.path.exists()


def test_pairs_that_lie_with_the_models_can_be_audited():
    found = loading.pairs()
    assert {"real-detox", "detox", "null-finetuned"} <= set(found)
    for settings in found.values():
        assert all(Path(settings[name]).exists() for name in ("aligned", "prompts"))
