"""Audits that the dashboard starts, stops and goes on with: real processes."""

import json
import os
import time
from pathlib import Path

import pytest

from dashboard import jobs, loading
from irl.errors import RunError
from tests import fakes
from tests.dashboard.samples import write_audit

SECONDS = 240
ROOT = Path(__file__).resolve().parents[2]


def recorded(root: Path, name: str, process: int) -> jobs.Job:
    folder = root / jobs.FOLDER / name
    folder.mkdir(parents=True)
    (folder / "process.json").write_text(json.dumps({"process": process}), encoding="utf-8")
    (folder / "printed.txt").write_text("irl: first\nscored 1/9\rscored 2/9\n", encoding="utf-8")
    return next(job for job in jobs.jobs(root) if job.name == name)


def test_a_process_of_another_program_is_not_the_job_and_is_left_alone(tmp_path: Path):
    job = recorded(tmp_path, "a", os.getpid())
    assert job.state == "stopped"
    assert job.last_line == "scored 2/9"
    jobs.stop(job)  # or this test would end here
    jobs.forget(job)
    assert jobs.jobs(tmp_path) == []


def test_a_job_whose_run_has_its_manifest_is_finished(tmp_path: Path):
    write_audit(tmp_path, "done")
    assert recorded(tmp_path, "done", os.getpid()).state == "finished"


def test_jobs_are_no_runs_and_damaged_ones_are_passed_over(root: Path):
    recorded(root, "b", 1)
    (root / jobs.FOLDER / "b" / "process.json").write_text("{", encoding="utf-8")
    assert loading.runs() == []
    assert jobs.jobs(root) == []
    with pytest.raises(RunError, match="no job c"):
        jobs.go_on(root, "c")


def test_a_folder_that_cannot_be_written_is_said_so(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot be written"):
        jobs.start(tmp_path / "file", {})


def wait_for(job: jobs.Job, *states: str) -> None:
    until = time.monotonic() + SECONDS
    while job.state not in states:
        assert time.monotonic() < until, job.last_line
        time.sleep(0.1)


@pytest.mark.slow_extra
def test_an_audit_is_started_stopped_gone_on_with_and_seen_to_finish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(ROOT)
    aligned, reference = fakes.save_pair(tmp_path)
    prompts = tmp_path / "prompts.jsonl"
    lines = [json.dumps({"prompt": text}) + "\n" for text in fakes.SENTENCES]
    prompts.write_text("".join(lines), encoding="utf-8")
    settings = {"aligned": str(aligned), "reference": str(reference), "prompts": str(prompts)}
    sampling = {"responses_per_prompt": 16, "max_new_tokens": 12, "prompts_per_shard": 1}
    job = jobs.start(tmp_path / "runs", settings | {"sampling": sampling})
    assert job.state == "working"
    assert jobs.jobs(job.root) == [job]
    until = time.monotonic() + SECONDS
    while not (job.run / "parts").exists():
        assert time.monotonic() < until
        time.sleep(0.05)
    jobs.stop(job)
    wait_for(job, "stopped")
    assert "the same command continues" in job.last_line
    again = jobs.go_on(job.root, job.name)
    assert again.process != job.process
    wait_for(again, "finished", "stopped")
    assert again.state == "finished", again.last_line
    jobs.forget(again)
    assert [one.path for one in _runs(job.root, monkeypatch)] == [job.run]


@pytest.mark.slow_extra
def test_why_an_audit_ended_is_what_it_printed_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(ROOT)
    job = jobs.start(tmp_path, {"aligned": "nowhere", "reference": "nowhere", "prompts": "no"})
    wait_for(job, "stopped")
    assert job.last_line.startswith("irl: ")


def _runs(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[loading.Run]:
    monkeypatch.setattr(loading, "roots", lambda: (root,))
    return loading.runs()
