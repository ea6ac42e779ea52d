"""trust.json: what `irl trust` writes."""

from typing import Literal

from pydantic import Field

from irl.records.base import Caveat, Estimate, Record

TRUST_SCHEMA: Literal["irl.trust/1"] = "irl.trust/1"
Colour = Literal["green", "amber", "red"]
Category = Literal["out-of-distribution", "locally-wrong", "boundary", "settled"]


class Signal(Record):
    """One measure in its bands. Green needs the bad end of its interval there, red the value."""

    name: str
    value: Estimate | None
    "None: not known, and then never green"
    amber: float | None
    "from here on it is not green; None where it is a yes or a no"
    red: float | None
    "from here on it is red"
    worse: Literal["high", "low"]
    colour: Colour
    reason: str


class Lamp(Record):
    """The worst colour of all signals, and why."""

    colour: Colour
    reasons: list[str]


class TrustMeasures(Record):
    """What was measured on some responses; n counts their prompts."""

    responses: int
    prompts: int
    kl_nats: Estimate | None
    "KL(policy || data), summed over the answer"
    effective_share: Estimate | None
    "(sum w)^2 / (n sum w^2) over all answers of the data's policy, w = policy / data"
    effective_answers: float | None
    "that share of the answers that the reward was fitted to"
    epistemic: Estimate | None
    "variance over members (ddof 0) of P(response beats an answer of the data's policy)"
    aleatoric: Estimate | None
    "mean over members of P (1 - P)"
    spread: Estimate | None
    "variance over members (ddof 0) of the difference of standardised scores"
    unsettled: Estimate | None
    "share of the comparisons with more spread than 95 % of held-out pairs"
    distance: Estimate | None
    "to the nearest answers that the reward was fitted to; held-out answers have 1"
    beyond: Estimate | None
    "share of responses that lie further away than 95 % of held-out answers"
    reward_gain: Estimate | None
    "over the data's policy, in standard deviations of its answers"
    length_gain: Estimate | None
    "words, over the data's policy"


class TrustGroup(Record):
    """A group of prompts."""

    group: str
    measures: TrustMeasures
    colour: Colour
    "by the bands of the whole"


class Detector(Record):
    """How well a detector of the triage finds what was planted for it; one half: not at all."""

    name: str
    planted: str
    "in words"
    auc: Estimate | None
    reason: str | None
    "why there is none"


class TriageCounts(Record):
    """How many responses are of each category."""

    category: Category
    share: Estimate
    responses: int


class TrustReport(Record):
    """trust.json, the result of `irl trust`; triage.parquet has every response."""

    schema_: Literal["irl.trust/1"] = Field(TRUST_SCHEMA, alias="schema")
    run_id: str
    created: str
    versions: dict[str, str]
    reward: str
    "the run of the ensemble; of an audit, the folder in its own"
    members: int
    source: str
    "the policy, or the file of responses"
    data_policy: str
    "held to have written what the reward was fitted to"
    data_nats_per_token: Estimate
    "of what the reward was fitted to, under that policy"
    own_nats_per_token: Estimate
    "of that policy's own answers; far above the line before, it did not write the data"
    fitted_answers: int
    held_out_pairs: int
    held_out_accuracy: Estimate | None
    neighbours: int
    lamp: Lamp
    signals: list[Signal]
    measures: TrustMeasures
    groups: list[TrustGroup]
    "by the type of the prompt where it has one, else by its length; empty if there is one"
    triage: list[TriageCounts]
    detectors: list[Detector]
    input: dict[str, int]
    "what was left out, by reason"
    caveats: tuple[Caveat, ...] = ()
