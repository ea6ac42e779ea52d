"""How scores go with what an organism was really paid."""

from typing import Literal

from irl.records.base import Estimate, Record


class TruthAgreement(Record):
    """One scorer against the true reward of the run's own answers, within prompts."""

    scorer: Literal["log_ratio", "recovered"]
    pearson: Estimate | None
    spearman: Estimate | None
    slope: Estimate | None
    "nats of the score for a nat of the true reward: 1 where what was paid was learnt in full"
