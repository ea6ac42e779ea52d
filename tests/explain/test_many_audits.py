"""Many audits: each its own run folder, and none stops another."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from explain.jobs import many_audits
from explain.jobs.many_audits import read_orders, run_audits
from irl.engine.shared import refuse_unseen
from irl.errors import InputError, PolicyError
from tests import fakes
from tests.test_command_line import irl

Line = dict[str, Any]


def written(folder: Path, *lines: Line | str) -> Path:
    file = folder / "many.jsonl"
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    file.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return file


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Path]]:
    """Audits that cost nothing: `bad` and `worse` fail, `over` is over its gate."""
    seen: list[tuple[str, Path]] = []

    def pretended(settings: Any, folder: Path, *, fresh: bool) -> object:
        seen.append((settings.aligned, folder))
        if settings.aligned == "bad":
            raise PolicyError("There is no\ndirectory bad.")
        if settings.aligned == "worse":
            raise KeyError("nats")
        report = SimpleNamespace(
            verdict=SimpleNamespace(statements=[f"It wants {settings.aligned}."]),
            gate=[SimpleNamespace(passed=settings.aligned != "over")],
        )
        return SimpleNamespace(report=report, was_finished=settings.aligned == "old")

    monkeypatch.setattr(many_audits, "run_audit", pretended)
    return seen


def test_each_line_is_an_audit_in_a_folder_of_its_name_or_number(
    asked: list[tuple[str, Path]], tmp_path: Path
):
    file = written(tmp_path, {"aligned": "a"}, "", {"aligned": "old", "name": "second"})
    outcomes = run_audits(file, tmp_path / "runs")
    assert asked == [("a", tmp_path / "runs" / "0001"), ("old", tmp_path / "runs" / "second")]
    assert [(one.name, one.state, one.passed, one.said) for one in outcomes] == [
        ("0001", "done", True, "It wants a."),
        ("second", "finished before", True, "It wants old."),
    ]
    assert list((tmp_path / "runs").iterdir()) == [], "the marker is gone"


def test_one_that_fails_stops_no_other(asked: list[tuple[str, Path]], tmp_path: Path):
    file = written(tmp_path, *({"aligned": name} for name in ("bad", "worse", "over", "a")))
    outcomes = run_audits(file, tmp_path / "runs")
    assert [(one.state, one.passed) for one in outcomes] == [
        ("failed", None),
        ("failed", None),
        ("done", False),
        ("done", True),
    ]
    assert [one.said for one in outcomes[:2]] == [
        "There is no directory bad.",
        "KeyError: 'nats'",
    ]


@pytest.mark.parametrize(
    ("names", "code", "last"),
    [
        (("a", "old"), 0, "2 audits: 1 done, 1 finished before"),
        (("a", "over"), 1, "2 audits: 1 done, 1 over its gate"),
        (("bad", "over", "a"), 2, "3 audits: 1 done, 1 over its gate, 1 failed"),
    ],
)
def test_the_exit_code_is_that_of_the_worst(
    asked: list[tuple[str, Path]], tmp_path: Path, names: tuple[str, ...], code: int, last: str
):
    file = written(tmp_path, *({"aligned": name, "name": f"of-{name}"} for name in names))
    done = irl("audits", file, "--out", tmp_path / "runs")
    assert done.code == code
    lines = done.out.splitlines()
    assert len(lines) == len(names) + 1
    assert lines[-1] == last
    assert done.err == ("irl: 1 of 3 audits failed: of-bad.\n" if code == 2 else "")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["{"], "Line 1 of .* is not JSON"),
        (["[]"], "Line 1 of .* is no JSON object"),
        ([{"aligned": "a"}, {"aligned": "a", "sed": 1}], "Line 2 of .*: The setting sed = 1"),
        ([{"aligned": "a", "name": "../b"}], "Line 1 of .*: the name '../b' cannot be"),
        ([{"aligned": "a", "name": "x"}] * 2, "Line 2 of .*: two audits are named x"),
        ([""], "holds no audits"),
    ],
)
def test_a_line_that_cannot_be_used_is_named_before_any_work(
    asked: list[tuple[str, Path]], tmp_path: Path, lines: list[Line | str], said: str
):
    with pytest.raises(InputError, match=said):
        run_audits(written(tmp_path, *lines), tmp_path / "runs")
    assert asked == []


def test_a_file_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="cannot be read"):
        read_orders(tmp_path / "none.jsonl")


def test_a_worker_that_does_not_see_the_folder_says_so(tmp_path: Path):
    with pytest.raises(InputError, match="does not see the folder"):
        refuse_unseen(tmp_path / ".seen.1")


@pytest.mark.slow
def test_real_audits_lie_side_by_side_and_are_not_repeated(tmp_path: Path):
    aligned, reference = fakes.save_pair(tmp_path)
    prompts = tmp_path / "prompts.jsonl"
    rows = [json.dumps({"prompt": f"what do you think of {n} dogs?"}) for n in range(6)]
    prompts.write_text("\n".join(rows), encoding="utf-8")
    one = {"reference": str(reference), "prompts": str(prompts)}
    one["sampling"] = {"responses_per_prompt": 2, "max_new_tokens": 6}
    file = written(
        tmp_path,
        {**one, "aligned": str(aligned), "name": "first"},
        {**one, "aligned": str(tmp_path / "nowhere")},
        {**one, "aligned": str(aligned), "seed": 1},
    )
    states = [[out.state for out in run_audits(file, tmp_path / "runs")] for _ in range(2)]
    assert states == [["done", "failed", "done"], ["finished before", "failed", "finished before"]]
    assert (tmp_path / "runs" / "first" / "report.html").is_file()
    assert (tmp_path / "runs" / "0003" / "report.html").is_file()
