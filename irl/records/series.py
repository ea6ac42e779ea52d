"""series.json: how a policy moved over its checkpoints."""

from typing import Final, Literal

from pydantic import Field

from irl.records.base import Caveat, Checkpoint, Estimate, Record

SERIES_SCHEMA: Final = "irl.series/1"


class SeriesCheckpoint(Record):
    """One checkpoint of a series."""

    name: str
    "short, and different from all others"
    order: int
    "its place in the series, from 0"
    policy: Checkpoint
    counts: dict[str, int]
    "prompts, responses and responses that were cut at the token limit"


class SeriesRow(Record):
    """One measurement at one checkpoint; series.parquet holds the same rows."""

    checkpoint: str
    order: int
    measure: str
    "what was measured, with its unit: sequence_kl_nats, term_weight_nats, ..."
    name: str
    "whose: aligned, reference, or a term; empty where the measure says it all"
    estimate: Estimate | None
    "None: this checkpoint's answers do not tell"


class SeriesReport(Record):
    """series.json."""

    schema_: Literal["irl.series/1"] = Field(SERIES_SCHEMA, alias="schema")
    run_id: str
    created: str
    versions: dict[str, str]
    settings: dict[str, object]
    reference: Checkpoint
    checkpoints: list[SeriesCheckpoint]
    terms: list[str]
    "the common catalogue, strongest first: found at one checkpoint or more, weighed at each"
    rows: list[SeriesRow]
    caveats: list[Caveat]
    timings_seconds: dict[str, float]
    peak_memory_bytes: int

    def of(self, measure: str, name: str = "") -> list[Estimate | None]:
        """One measure over the checkpoints, in their order."""
        found = [row for row in self.rows if (row.measure, row.name) == (measure, name)]
        return [row.estimate for row in sorted(found, key=lambda row: row.order)]
