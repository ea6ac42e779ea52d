"""attribution.json: how far each attribution method can be trusted on a run's answers."""

from typing import Final, Literal

from pydantic import Field

from irl.records.base import Caveat, Estimate, Record

ATTRIBUTION_SCHEMA: Final = "irl.attribution/1"


class AttributionMethod(Record):
    """One method over all answers that were explained; shares are of f(x) - f(nothing)."""

    method: str
    answers: int
    unmet: int | None
    "answers whose values do not add up within the tolerance; None for ablation, which need not, "
    "and for KernelSHAP, which does by construction"
    largest_relative_gap: float
    median_evaluations: float
    "steps on the path, or changed texts that the target was asked for"
    comprehensiveness: Estimate | None
    "lost when the top segments go; higher is better"
    comprehensiveness_random: Estimate | None
    "the same for random orders"
    sufficiency: Estimate | None
    "lost when only the top segments stay; lower is better"
    sufficiency_random: Estimate | None
    deletion_area: Estimate | None
    "left while segments go, top first; lower is better"
    deletion_area_random: Estimate | None
    insertion_area: Estimate | None
    "there while segments come, top first; higher is better"
    insertion_area_random: Estimate | None
    infidelity: Estimate | None
    "share of what random removals change that the values do not foretell; 0 is perfect"
    sensitivity: Estimate | None
    "largest relative change under a small change of the embeddings; gradients alone"
    control_agreement: Estimate | None
    "rank correlation with the values of shuffled weights; gradients alone; near 0 is right"


class RankAgreement(Record):
    """How far two methods rank the segments of an answer alike (Spearman, mean over answers)."""

    a: str
    b: str
    spearman: Estimate | None


class AttributionReport(Record):
    """attribution.json."""

    schema_: Literal["irl.attribution/1"] = Field(ATTRIBUTION_SCHEMA, alias="schema")
    run_id: str
    created: str
    versions: dict[str, str]
    settings: dict[str, object]
    target: str
    by: str
    tolerance: float
    target_sd: float
    "of the target over the answers, within prompts; gaps are relative to it at least"
    methods: list[AttributionMethod]
    agreements: list[RankAgreement]
    caveats: list[Caveat]
    timings_seconds: dict[str, float]
    peak_memory_bytes: int
