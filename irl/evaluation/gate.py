"""The gate: limits on figures of report.json, for a release script to stop on.

gate.yaml is a list of rules, each with a dotted path, one of max, min or equals, and for estimates
the end of the interval that must keep it:

    - {path: drift.sequence_kl_nats, max: 2.0, on: high}
    - {path: accuracy.scorer=log_ratio.preference, min: 0.9, on: low}
    - {path: verdict.objective_found, equals: false}

In a list, a part of a path is a position, or key=value for the first entry that has it. What was
not measured fails its rule.
"""

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from irl.errors import InputError
from irl.records import GateRow

Scalar = float | int | bool | str | None


class Rule(BaseModel):
    """One limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    max: float | None = None
    min: float | None = None
    equals: bool | float | str | None = None
    on: Literal["value", "low", "high"] = "value"

    @property
    def limit(self) -> str:
        """The limit in words."""
        kind = next(iter(self.model_fields_set & {"max", "min", "equals"}))
        return f"{kind} {getattr(self, kind)}"

    def passed(self, value: Scalar) -> bool:
        """Whether a value keeps the limit; an unmeasured one does not."""
        if value is None:
            return False
        if "equals" in self.model_fields_set:
            return value == self.equals
        if isinstance(value, bool | str):
            return False
        return (self.max is None or value <= self.max) and (self.min is None or value >= self.min)


def read_gate(file: Path) -> list[Rule]:
    """The rules of a gate file.

    Raises:
        InputError: the file cannot be read, or a rule is not of the form above.
    """
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        rules = TypeAdapter(list[Rule]).validate_python(_with_on(document))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"The gate file {file} cannot be read ({reason}).") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise InputError(
            f"The gate file {file} is not a list of {{path, max | min | equals, on}} rules: "
            f"{where}: {first['msg'].lower()}."
        ) from None
    for number, rule in enumerate(rules, 1):
        given = rule.model_fields_set & {"max", "min", "equals"}
        if len(given) != 1 or getattr(rule, *given) is None:
            raise InputError(
                f"Rule {number} of the gate file {file} ({rule.path}) needs exactly one of max, "
                "min and equals."
            )
    return rules


def _with_on(document: Any) -> Any:
    """YAML 1.1 reads the bare key `on` as true; name it again."""
    if not isinstance(document, list):
        return document
    return [
        {"on" if key is True else key: value for key, value in rule.items()}
        if isinstance(rule, dict)
        else rule
        for rule in document
    ]


def apply_gate(rules: list[Rule], report: dict[str, Any]) -> list[GateRow]:
    """Check a report, given as plain JSON values."""
    rows = []
    for rule in rules:
        value = look_up(report, rule.path, rule.on)
        rows.append(
            GateRow(
                path=rule.path, on=rule.on, limit=rule.limit, value=value, passed=rule.passed(value)
            )
        )
    return rows


def look_up(report: Any, path: str, on: str = "value") -> Scalar:
    """The figure at a dotted path; None if it is not there or not a figure."""
    found = report
    for part in path.split("."):
        found = _step(found, part)
    if isinstance(found, dict) and {"value", "low", "high"} <= found.keys():
        found = found[on]
    return found if isinstance(found, int | float | str | bool) else None


def _step(tree: Any, part: str) -> Any:
    if isinstance(tree, dict):
        return tree.get(part)
    if not isinstance(tree, list):
        return None
    key, equals, wanted = part.partition("=")
    if equals:
        return next((row for row in tree if isinstance(row, dict) and row.get(key) == wanted), None)
    return tree[int(part)] if part.isdecimal() and int(part) < len(tree) else None
