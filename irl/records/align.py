"""align.json and steps.jsonl: what `irl align` writes beside the policy."""

from irl.records.base import Caveat, Estimate, Record


class AlignStep(Record):
    """One look at the policy in training: one line of steps.jsonl.

    Gains are over the reference's answers to the same prompts, so no reward's constant of a prompt
    counts. All are means over prompts that no training sees.
    """

    step: int
    proxy: Estimate
    "gain of the reward that is optimised"
    lower: Estimate | None
    "gain of the lowest quarter of the members; None for one member"
    disagreement: Estimate | None
    "standard deviation over members of their gains"
    gold: Estimate | None
    "gain of the reward that is held to be true, where one is named"
    kl_nats: Estimate
    "KL(policy || reference), summed over the answer"
    entropy_nats: Estimate
    "of the answer, summed over its tokens"
    length_tokens: Estimate
    reference_length_tokens: float
    warnings: list[str]
    "codes of what is first seen at this step"


class AlignReport(Record):
    """align.json."""

    run_id: str
    reward: str
    policy: str
    gold: str | None
    method: str
    beta: float
    steps: int
    "that were taken"
    stopped: bool
    "by a warning, before the end"
    prompts: int
    watched_prompts: int
    last: AlignStep
    caveats: tuple[Caveat, ...] = ()
    "warnings of over-optimisation, in words, with the step at which each was given"
