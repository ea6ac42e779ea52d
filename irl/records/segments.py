"""segments.json: what the segments of a run's answers gain and are paid."""

from typing import Final, Literal

from pydantic import Field

from irl.records.base import Caveat, Estimate, Record

SEGMENTS_SCHEMA: Final = "irl.segments/1"


class SegmentGroup(Record):
    """Segments of one policy's answers that open alike, or stand in the same place; means of each.

    n counts the prompts that have one.
    """

    source: str
    "whose answers: aligned, reference or given"
    name: str
    "the delimiter that they open with (empty: before the first one), or their place from 1 on"
    segments: int
    value_gained_nats: Estimate | None
    paid_for_nats: Estimate | None
    "None without a term reward"


class SegmentsReport(Record):
    """segments.json, the result of `irl segments` on the answers of another run."""

    schema_: Literal["irl.segments/1"] = Field(SEGMENTS_SCHEMA, alias="schema")
    run_id: str
    of_run: str
    "the run whose answers were cut"
    created: str
    versions: dict[str, str]
    settings: dict[str, object]
    by: str
    responses: int
    segments: int
    largest_gap_nats: float
    "between a response's segments and its log-ratio; 0: all telescope to the last bit"
    groups: list[SegmentGroup]
    caveats: list[Caveat]
