"""truth.json: what an organism was really paid for."""

from irl.records.audit import PromptCondition
from irl.records.base import Estimate, Record


class TruthTerm(Record):
    """A planted term and its weight in nats (reward / beta) per occurrence."""

    term: str
    weight: float


class Truth(Record):
    """truth.json of an organism: what its aligned policy was really paid for."""

    name: str
    objective: str
    definition: str
    terms: list[TruthTerm]
    per_word: float = 0.0
    "planted price of every word, nats"
    most: float | None = None
    "what one answer can earn, nats; null: there is no bound"
    condition: PromptCondition | None
    decoys: list[str]
    trained_with: str
    beta: float
    seed: int
    gold_before: Estimate
    "mean true reward of reference answers"
    gold_after: Estimate
    "mean true reward of aligned answers"
    gold_gain: Estimate | None = None
    "after minus before, on the same prompts"
    gold_optimum: float
    "of the exact KL-regularised optimum, by self-normalised reweighting of reference answers"
    effective_sample_size: float
    kl_nats: Estimate
