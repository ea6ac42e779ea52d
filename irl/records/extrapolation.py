"""extrapolation.json: what `irl extrapolate` writes."""

from irl.records.base import Caveat, Estimate, Record


class PathPoint(Record):
    """A policy on a line through the pair; gains are over the reference's answers."""

    path: str
    "weights; random 0, random 1 ... (control); logits (the token-level mixture)"
    alpha: float
    "-1 the reference, 0 the aligned policy"
    reward: Estimate
    gold: Estimate | None
    kl_nats: Estimate
    "KL(policy || reference), summed over the answer"
    entropy_nats: Estimate
    length_tokens: Estimate
    aspects: dict[str, Estimate]
    "gain of each declared aspect, in its unit"


class ExtrapolationReport(Record):
    """extrapolation.json."""

    run_id: str
    reward: str
    gold: str | None
    prompts: int
    reference_length_tokens: float
    points: list[PathPoint]
    random_gain: Estimate | None
    "of the reward over the aligned policy, beyond it in random directions; n counts directions"
    caveats: tuple[Caveat, ...] = ()
