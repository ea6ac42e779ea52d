"""concepts.json: directions in hidden states, and whether a target goes with them."""

from typing import Final, Literal

from pydantic import Field

from irl.records.base import Caveat, Estimate, Record

CONCEPTS_SCHEMA: Final = "irl.concepts/1"


class ConceptLimits(Record):
    """When a concept fires: a large effect, that is no chance and no mere direction either."""

    min_effect: float
    "of the score, away from one half"
    nominal: float
    "of p, after correction for all concepts and layers"


class ConceptScore(Record):
    """One concept at one layer. Scores are shares, one half means no relation."""

    name: str
    layer: int
    "1 to the number of layers; the last is what the head reads"
    positives: int
    "texts with the concept, beside texts without it"
    negatives: int
    prompts: int
    "to which both were said"
    separates: Estimate | None = None
    "AUC: does the direction tell positives from negatives of prompts it was not learnt on?"
    score: Estimate | None = None
    "pairs of answers to a prompt in which the one further along the direction has more of it"
    score_random: tuple[float, float] | None = None
    "between these lie 95 % of the scores of random concepts"
    slope: Estimate | None = None
    "of the target, in its unit per standard deviation of the coordinate within prompts"
    held_fixed: Estimate | None = None
    "the slope with the coordinates of all other concepts measured at this layer held fixed"
    p_value: float | None = None
    "the larger of two: by sign flips of prompts, and by random concepts"
    p_corrected: float | None = None
    "Holm, over all concepts and layers that were measured"
    tcav: Estimate | None = None
    "answers whose target has a positive derivative along the direction (Kim et al. 2018)"
    tcav_random: tuple[float, float] | None = None
    tcav_p: float | None = None
    "by random concepts; not corrected"
    derivative: Estimate | None = None
    "mean, in the target's unit per standard deviation of the coordinate"
    nearest: str | None = None
    "the other concept whose coordinate goes most with this one's"
    nearest_correlation: float | None = None
    "within prompts"
    fired: bool = False
    reason: str | None = None
    "why there is no score"


class ConceptsReport(Record):
    """concepts.json."""

    schema_: Literal["irl.concepts/1"] = Field(CONCEPTS_SCHEMA, alias="schema")
    run_id: str
    created: str
    versions: dict[str, str]
    settings: dict[str, object]
    target: str
    unit: str
    n_prompts: int
    n_answers: int
    layers: list[int]
    of_layers: int
    "how many the model has"
    random_concepts: int
    "for each concept and layer"
    limits: ConceptLimits
    concepts: list[ConceptScore]
    caveats: list[Caveat]
    timings_seconds: dict[str, float]
    peak_memory_bytes: int
