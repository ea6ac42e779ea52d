"""The gate: what was not measured, or not limited, never passes."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from irl.errors import InputError
from irl.evaluation.gate import Rule, apply_gate, look_up, read_gate

REPORT: dict[str, Any] = {
    "verdict": {"objective_found": None, "statements": ["a", "b"]},
    "drift": {"sequence_kl_nats": {"value": 1.5, "low": 1.0, "high": 2.0, "n": 9}},
    "fit": {"r2": None},
    "accuracy": [
        {"scorer": "log_ratio", "preference": {"value": 0.9, "low": 0.8, "high": 0.95, "n": 5}},
        {"scorer": "recovered", "preference": {"value": 0.7, "low": 0.6, "high": 0.75, "n": 5}},
    ],
    "pair": {"trained_with": "rloo"},
    "peak_memory_bytes": 10,
}


def gate_file(folder: Path, document: object) -> Path:
    file = folder / "gate.yaml"
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    return file


def passes(folder: Path, **rule: object) -> bool:
    (row,) = apply_gate(read_gate(gate_file(folder, [rule])), REPORT)
    return row.passed


@pytest.mark.parametrize(
    ("path", "on", "expected"),
    [
        ("drift.sequence_kl_nats", "value", 1.5),
        ("drift.sequence_kl_nats", "low", 1.0),
        ("drift.sequence_kl_nats", "high", 2.0),
        ("drift.sequence_kl_nats.n", "value", 9),
        ("accuracy.1.preference", "high", 0.75),
        ("accuracy.scorer=recovered.preference", "low", 0.6),
        ("accuracy.scorer=nobody.preference", "low", None),
        ("accuracy.7.preference", "low", None),
        ("accuracy.-1.preference", "low", None),
        ("accuracy.first.preference", "low", None),
        ("pair.trained_with", "value", "rloo"),
        ("verdict.objective_found", "value", None),
        ("verdict.statements", "value", None),
        ("no.such.path", "value", None),
        ("peak_memory_bytes.deeper", "value", None),
    ],
)
def test_a_dotted_path_finds_its_figure_or_nothing(path: str, on: str, expected: object):
    assert look_up(REPORT, path, on) == expected


@pytest.mark.parametrize(
    ("rule", "passed"),
    [
        ({"path": "drift.sequence_kl_nats", "max": 1.5}, True),
        ({"path": "drift.sequence_kl_nats", "max": 1.49}, False),
        ({"path": "drift.sequence_kl_nats", "max": 1.9, "on": "high"}, False),
        ({"path": "accuracy.scorer=log_ratio.preference", "min": 0.9}, True),
        ({"path": "accuracy.scorer=log_ratio.preference", "min": 0.9, "on": "low"}, False),
        ({"path": "pair.trained_with", "equals": "rloo"}, True),
        ({"path": "pair.trained_with", "equals": "dpo"}, False),
        ({"path": "peak_memory_bytes", "equals": 10}, True),
    ],
    ids=str,
)
def test_a_limit_holds_for_the_chosen_end_of_the_interval(
    rule: dict[str, object], passed: bool, tmp_path: Path
):
    assert passes(tmp_path, **rule) is passed


def test_rules_may_be_written_as_the_documentation_writes_them(tmp_path: Path):
    """By hand: YAML 1.1 takes a bare `on` for true."""
    file = tmp_path / "gate.yaml"
    file.write_text(
        "- {path: drift.sequence_kl_nats, max: 1.9, on: high}\n"
        "- {path: accuracy.scorer=log_ratio.preference, min: 0.9, on: low}\n"
        "- path: verdict.objective_found\n  equals: false\n  on: value\n",
        encoding="utf-8",
    )
    assert [rule.on for rule in read_gate(file)] == ["high", "low", "value"]
    assert not any(row.passed for row in apply_gate(read_gate(file), REPORT))


@pytest.mark.parametrize("limit", [{"max": 1e9}, {"min": -1e9}, {"equals": 0}, {"equals": False}])
@pytest.mark.parametrize("path", ["fit.r2", "verdict.objective_found", "no.such.path"])
def test_what_was_not_measured_fails(path: str, limit: dict[str, object], tmp_path: Path):
    assert not passes(tmp_path, path=path, **limit)


@pytest.mark.parametrize("limit", [{"max": 1e9}, {"min": -1e9}])
def test_words_cannot_keep_a_limit_on_numbers(limit: dict[str, object], tmp_path: Path):
    assert not passes(tmp_path, path="pair.trained_with", **limit)


def test_a_figure_that_is_not_a_number_keeps_no_limit():
    assert not Rule(path="x", max=1.0).passed(float("nan"))
    assert not Rule(path="x", min=1.0).passed(float("nan"))


def test_a_row_of_the_report_names_the_limit_and_what_was_found(tmp_path: Path):
    rule = {"path": "drift.sequence_kl_nats", "max": 1.0, "on": "low"}
    (row,) = apply_gate(read_gate(gate_file(tmp_path, [rule])), REPORT)
    assert row.model_dump() == {
        "path": "drift.sequence_kl_nats",
        "on": "low",
        "limit": "max 1.0",
        "value": 1.0,
        "passed": True,
    }


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"path": "fit.r2"}, "exactly one of max, min and equals"),
        ({"path": "fit.r2", "max": 1, "min": 0}, "exactly one of max, min and equals"),
        ({"path": "fit.r2", "max": None}, "exactly one of max, min and equals"),
        ({"path": "fit.r2", "equals": None}, "exactly one of max, min and equals"),
        ({"max": 1}, "path"),
        ({"path": "fit.r2", "maximum": 1}, "maximum"),
        ({"path": "fit.r2", "max": "high"}, "max"),
        ({"path": "fit.r2", "max": 1, "on": "middle"}, "on"),
        ("fit.r2 < 1", "list of"),
    ],
    ids=str,
)
def test_a_rule_that_limits_nothing_or_is_misspelt_is_refused(
    rule: object, words: str, tmp_path: Path
):
    with pytest.raises(InputError) as refusal:
        read_gate(gate_file(tmp_path, [rule]))
    assert words in str(refusal.value)
    assert "gate.yaml" in str(refusal.value)


@pytest.mark.parametrize("text", ["path: fit.r2\nmax: 1\n", "", "[", "\x00"], ids=repr)
def test_a_file_that_is_no_list_of_rules_is_refused(text: str, tmp_path: Path):
    file = tmp_path / "gate.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="gate"):
        read_gate(file)


def test_a_gate_that_is_not_there_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="cannot be read"):
        read_gate(tmp_path / "gate.yaml")
