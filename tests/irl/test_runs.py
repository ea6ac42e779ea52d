"""Run folders: whole files, a manifest at the end, nothing of others touched."""

import csv
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from irl.errors import IrlError, RunError
from irl.records import Manifest, RecoveryReport
from irl.runs import (
    RunFolder,
    as_named,
    export_responses,
    find_run,
    list_runs,
    open_run,
    read_record,
    read_run,
    write_parquet,
)

SETTINGS: dict[str, Any] = {"aligned": "a", "reference": "ré", "seed": 0}
INPUTS = {"aligned": "0" * 64}


def opened(out: Path, *, fresh: bool = False, **settings: object) -> RunFolder:
    return open_run("audit", SETTINGS | settings, INPUTS, out, fresh=fresh)


def finished(out: Path, **settings: object) -> RunFolder:
    run = opened(out, **settings)
    run.write_text("report.json", "{}\n")
    run.finish({"responses": 3})
    return run


def responses(folder: Path) -> pa.Table:
    table = pa.table(
        {
            "response_id": ["a", "b"],
            "response": ['two\nlines, "quoted"', "日本 \x1b[31m"],
            "log_ratio_nats": [0.1, -1e-9],
            "reward_nats": pa.array([None, 2.0]),
            "fold": pa.array([3, None], pa.int32()),
        }
    )
    write_parquet(folder / "responses.parquet", table)
    return table


def test_the_run_id_is_the_command_and_a_hash_of_settings_and_inputs(tmp_path: Path):
    run = opened(tmp_path / "a")
    command, digits = run.run_id.split("-")
    assert command == "audit"
    assert len(digits) == 10
    assert int(digits, 16) >= 0
    assert opened(tmp_path / "b").run_id == run.run_id
    assert opened(tmp_path / "c", seed=1).run_id != run.run_id
    other = open_run("audit", SETTINGS, {"aligned": "1" * 64}, tmp_path / "d")
    assert other.run_id != run.run_id


def test_the_default_folder_is_named_by_the_run_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    run = open_run("score", SETTINGS, INPUTS)
    assert run.path == Path("artifacts/runs") / run.run_id
    assert (tmp_path / run.path / "config.yaml").is_file()


def test_config_yaml_holds_the_resolved_settings(tmp_path: Path):
    run = opened(tmp_path / "run")
    document = yaml.safe_load((run.path / "config.yaml").read_text(encoding="utf-8"))
    assert document == {"run_id": run.run_id, "command": "audit", "settings": SETTINGS}


def test_the_same_run_goes_on_with_the_files_that_are_there(tmp_path: Path):
    first = opened(tmp_path / "run")
    write_parquet(first.parts / "scored-00000.parquet", pa.table({"x": [1]}))
    again = opened(tmp_path / "run")
    assert not again.finished
    assert (again.parts / "scored-00000.parquet").is_file()


def test_a_finished_run_is_opened_as_finished(tmp_path: Path):
    finished(tmp_path / "run")
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")}
    assert opened(tmp_path / "run").finished
    (tmp_path / "run").stat()
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*") if file.is_file()} == {
        file: time for file, time in before.items() if file.is_file()
    }


def test_a_path_in_settings_is_seen_from_here_or_from_a_folder_above_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run, here = tmp_path / "repository" / "runs" / "one", tmp_path / "here"
    for folder in (run, here / "own", tmp_path / "repository" / "models" / "a"):
        folder.mkdir(parents=True)
    monkeypatch.chdir(here)
    assert as_named(run, "own") == "own"
    assert as_named(run, "models/a") == str(tmp_path / "repository" / "models" / "a")
    assert as_named(run, "owner/name") == "owner/name", "a hub id, say"
    assert as_named(run, str(here)) == str(here)


@pytest.mark.parametrize("state", ["finished", "unfinished"])
def test_other_settings_are_refused(state: str, tmp_path: Path):
    held = finished(tmp_path / "run") if state == "finished" else opened(tmp_path / "run")
    with pytest.raises(RunError, match="holds another run") as refusal:
        opened(tmp_path / "run", seed=1)
    assert held.run_id in str(refusal.value)
    assert "--fresh" in str(refusal.value)
    assert read_run(tmp_path / "run").state == state


def test_fresh_replaces_a_run_whatever_its_settings(tmp_path: Path):
    finished(tmp_path / "run")
    again = opened(tmp_path / "run", fresh=True, seed=1)
    assert not again.finished
    assert not (again.path / "report.json").exists()
    document = yaml.safe_load((again.path / "config.yaml").read_text(encoding="utf-8"))
    assert document["settings"]["seed"] == 1


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("name", ["precious.txt", "config.yaml"])
def test_a_folder_that_is_not_a_run_is_refused_and_left_alone(
    name: str, fresh: bool, tmp_path: Path
):
    """Also with --fresh, and also if it has a config.yaml of its own."""
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / name).write_text("chapters: [1, 2]\n", encoding="utf-8")
    (folder / "chapter").mkdir()
    with pytest.raises(RunError, match="not a run"):
        opened(folder, fresh=fresh)
    assert (folder / name).read_text(encoding="utf-8") == "chapters: [1, 2]\n"
    assert (folder / "chapter").is_dir()


def test_an_empty_folder_becomes_the_run(tmp_path: Path):
    (tmp_path / "run").mkdir()
    assert opened(tmp_path / "run").path == tmp_path / "run"


@pytest.mark.parametrize("place", ["under a file", "a file", "/proc/irl-test"])
def test_a_folder_that_cannot_be_written_is_refused(place: str, tmp_path: Path):
    """Root may write anywhere else, so these places are used instead of permissions."""
    file = tmp_path / "file"
    file.write_text("kept", encoding="utf-8")
    out = {"under a file": file / "run", "a file": file}.get(place, Path(place))
    with pytest.raises(RunError, match="--out") as refusal:
        opened(out)
    assert str(out) in str(refusal.value)
    assert file.read_text(encoding="utf-8") == "kept"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_refused(tmp_path: Path):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(RunError, match="cannot be written"):
        opened(tmp_path / "locked" / "run")


def test_refusals_are_both_our_error_and_an_os_error():
    assert issubclass(RunError, IrlError)
    assert issubclass(RunError, OSError)


def test_the_manifest_comes_last_and_hashes_every_file(tmp_path: Path):
    run = opened(tmp_path / "run")
    write_parquet(run.parts / "scored-00000.parquet", pa.table({"x": [1]}))
    run.write_text("report.json", "{}\n")
    (run.path / "reward").mkdir()
    (run.path / "reward" / "terms.json").write_text("[]", encoding="utf-8")
    assert not run.finished
    manifest = run.finish({"responses": 3})
    assert run.finished
    assert not run.parts.exists()
    assert set(manifest.files) == {"config.yaml", "report.json", "reward/terms.json"}
    for name, digest in manifest.files.items():
        assert digest == hashlib.sha256((run.path / name).read_bytes()).hexdigest()
    newest = max(run.path.rglob("*"), key=lambda file: file.stat().st_mtime_ns * file.is_file())
    assert newest.name == "manifest.json"
    stored = Manifest.model_validate_json((run.path / "manifest.json").read_bytes())
    assert stored == manifest
    assert (stored.command, stored.settings, stored.counts) == ("audit", SETTINGS, {"responses": 3})
    assert set(stored.versions) >= {"irl-audit", "torch", "transformers"}


def test_a_finished_run_can_be_finished_again_without_some_files(tmp_path: Path):
    run = finished(tmp_path / "run")
    run.write_text("report.html", "large")
    manifest = run.finish_without(["report.html", "absent"])
    assert set(manifest.files) == {"config.yaml", "report.json"}
    assert manifest.counts == {"responses": 3}
    assert not (run.path / "report.html").exists()
    assert read_run(run.path).manifest == manifest


def test_what_a_kill_left_half_written_is_removed_at_the_end(tmp_path: Path):
    run = opened(tmp_path / "run")
    (run.path / ".report.json.4711").write_text("{", encoding="utf-8")
    (run.path / ".note").write_text("of the user", encoding="utf-8")
    run.finish({})
    names = {file.name for file in run.path.iterdir()}
    assert names == {"config.yaml", "log.jsonl", "manifest.json", ".note"}


def test_log_jsonl_tells_the_run_in_order(tmp_path: Path):
    run = opened(tmp_path / "run")
    run.log("refused", line=2, reason="kein Prompt: é")
    opened(tmp_path / "run").finish({"responses": 3})
    lines = (run.path / "log.jsonl").read_text(encoding="utf-8").splitlines()
    events = [json.loads(line) for line in lines]
    assert [event["event"] for event in events] == ["opened", "refused", "opened", "finished"]
    assert events[1]["reason"] == "kein Prompt: é"
    assert all(event["time"].endswith("+00:00") for event in events)


def test_a_write_that_fails_leaves_what_was_there_and_no_other_file(tmp_path: Path):
    run = opened(tmp_path / "run")
    run.write_text("report.json", "old")
    (run.path / "responses.parquet").mkdir()
    (run.path / "responses.parquet" / "in the way").touch()
    before = sorted(run.path.iterdir())
    with pytest.raises(RunError, match="cannot be written"):
        run.write_text("responses.parquet", "new")
    with pytest.raises(RunError, match="cannot be written"):
        run.write_table("responses.parquet", pa.table({"x": [1]}))
    assert sorted(run.path.iterdir()) == before


def test_runs_are_listed_newest_first_with_their_state(tmp_path: Path):
    for age, name in enumerate(["broken", "unfinished", "finished"]):
        run = opened(tmp_path / name) if name == "unfinished" else finished(tmp_path / name)
        os.utime(run.path / "config.yaml", (1e9 + age, 1e9 + age))
    (tmp_path / "broken" / "manifest.json").write_text('{"run_id": 1', encoding="utf-8")
    (tmp_path / "no run").mkdir()
    (tmp_path / "file").touch()
    found = list_runs(tmp_path)
    assert [(run.path.name, run.state) for run in found] == [
        ("finished", "finished"),
        ("unfinished", "unfinished"),
        ("broken", "broken"),
    ]
    assert [run.manifest is not None for run in found] == [True, False, False]
    assert list_runs(tmp_path / "absent") == []


def test_a_manifest_of_another_shape_is_broken(tmp_path: Path):
    run = finished(tmp_path / "run")
    text = (run.path / "manifest.json").read_text(encoding="utf-8")
    run.write_text("manifest.json", text.replace('"counts"', '"Counts"'))
    assert read_run(run.path).state == "broken"


def test_a_run_is_found_by_its_path_its_name_or_the_beginning_of_it(tmp_path: Path):
    for name in ("audit-0123", "audit-01", "score-9"):
        opened(tmp_path / name)
    for asked, name in {
        "score": "score-9",
        "audit-012": "audit-0123",
        "audit-01": "audit-01",
        str(tmp_path / "score-9"): "score-9",
    }.items():
        assert find_run(asked, tmp_path) == tmp_path / name


@pytest.mark.parametrize(("asked", "words"), [("audit", "several runs"), ("drift", "no run")])
def test_a_name_that_fits_no_run_or_several_is_refused(asked: str, words: str, tmp_path: Path):
    for name in ("audit-0123", "audit-01"):
        opened(tmp_path / name)
    with pytest.raises(RunError, match=words):
        find_run(asked, tmp_path)


@pytest.mark.parametrize("content", [None, "{", "{}"])
def test_a_report_that_is_gone_or_damaged_is_named(content: str | None, tmp_path: Path):
    file = tmp_path / "recovery.json"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(RunError, match=r"recovery\.json .* --fresh"):
        read_record(file, RecoveryReport)


def test_responses_are_exported_as_csv(tmp_path: Path):
    responses(tmp_path)
    export_responses(tmp_path, tmp_path / "table.csv")
    with (tmp_path / "table.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["response"] for row in rows] == ['two\nlines, "quoted"', "日本 \x1b[31m"]
    assert [float(row["log_ratio_nats"]) for row in rows] == [0.1, -1e-9]
    assert rows[0]["reward_nats"] == ""


def test_responses_are_exported_as_json_lines(tmp_path: Path):
    table = responses(tmp_path)
    export_responses(tmp_path, tmp_path / "table.jsonl")
    lines = (tmp_path / "table.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == table.to_pylist()
    assert "日本" in lines[1]


def test_responses_are_exported_as_parquet(tmp_path: Path):
    table = responses(tmp_path)
    export_responses(tmp_path, tmp_path / "table.parquet")
    assert pq.read_table(tmp_path / "table.parquet").equals(table)


@pytest.mark.parametrize("name", ["table.xlsx", "table", "absent/table.csv", "file/table.csv"])
def test_a_file_that_cannot_be_exported_to_is_refused(name: str, tmp_path: Path):
    responses(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="table"):
        export_responses(tmp_path, tmp_path / name)


def test_a_run_without_responses_has_nothing_to_export(tmp_path: Path):
    with pytest.raises(RunError, match=r"no responses\.parquet"):
        export_responses(tmp_path, tmp_path / "table.csv")
