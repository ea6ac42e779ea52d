"""ensemble.json: what `irl ensemble` writes."""

from irl.records.base import Caveat, Estimate, Record


class ReliabilityBin(Record):
    """Pairs of about the same odds."""

    probability: float
    "mean probability that the side with the higher score was chosen"
    share_right: float
    n: int


class PairFigures(Record):
    """A scorer on held-out pairs; odds come from a scale fitted on other held-out pairs."""

    scorer: str
    "an aggregation, or `members`: the mean over single members"
    accuracy: Estimate | None
    "ties one half"
    ties: int
    brier: Estimate | None
    "mean squared distance of the probability of the label from 1"
    ece: Estimate | None
    reliability: list[ReliabilityBin]


class Disagreement(Record):
    """Standard deviation of the members' margins, and whether it tells where they err."""

    mean_sd: Estimate | None
    auc_of_errors: Estimate | None
    "P(a wrong pair has more of it than a right one); one half: it tells nothing"
    auc_of_small_margins: Estimate | None
    "the same of the aggregate's margin, which costs nothing"


class Abstention(Record):
    """Split-conformal prediction sets: a pair is answered where one label is left."""

    confidence: float
    covered: Estimate | None
    "share of sets that hold the label; at least the confidence if pairs are exchangeable"
    answered: Estimate | None
    accuracy_answered: Estimate | None


class EnsembleReport(Record):
    """ensemble.json, the result of `irl ensemble`."""

    run_id: str
    reward: str
    "what the members are, in words"
    members: int
    diversity: str
    loss: str
    aggregation: str
    training_pairs: int
    held_out_pairs: int
    held_out_prompts: int
    figures: list[PairFigures]
    disagreement: Disagreement
    abstention: list[Abstention]
    input: dict[str, int]
    "rows and pairs that were left out or are odd, by reason"
    caveats: tuple[Caveat, ...] = ()
