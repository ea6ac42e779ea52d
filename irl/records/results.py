"""Tables of figures: docs/results/<name>.json."""

from irl.records.base import Estimate, Record


class ResultRow(Record):
    """One measurement of a results table."""

    case: str
    method: str
    metric: str
    unit: str
    seeds: list[int]
    estimate: Estimate | None
    reason: str | None
    "why there is no estimate"


class ResultTable(Record):
    """docs/results/<name>.json."""

    name: str
    command: str
    created: str
    machine: str
    versions: dict[str, str]
    rows: list[ResultRow]
