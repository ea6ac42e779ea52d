"""judging.json: what `irl judge` writes beside the preferences."""

from irl.records.base import Caveat, Estimate, Record


class JudgingReport(Record):
    """How a judge judged."""

    judge: str
    source: str
    pairs: int
    undecided: int
    "pairs of probability one half, which state no preference and were left out"
    position_bias: Estimate | None
    "mean of what standing first adds to the probability"
    consistent: Estimate | None
    "share of pairs in which both orders name the same answer"
    agreement: Estimate | None
    "with the labels that came with the pairs, where there were any; undecided counts one half"
    left_out: dict[str, int]
    caveats: tuple[Caveat, ...] = ()
