"""recovery.json: what `irl recover` writes."""

from irl.records.audit import Accuracy, Fit, Recovery
from irl.records.base import Caveat, Checkpoint, Estimate, Record
from irl.records.true_reward import TruthAgreement


class WordsVerdict(Record):
    """The words that a method pays most, judged on prompts that had no part in choosing them."""

    objective: bool
    "would an audit call them one?"
    terms: list[str]
    r2: Estimate | None
    "share of the log-ratio's variance within prompts, beyond length"
    sd_nats: Estimate | None
    p_value: float


class SeedFit(Record):
    """The reward of one seed, on labels and on the prompts that it held out."""

    seed: int
    heldout_accuracy: Estimate | None
    "share of labelled pairs ranked right; None without labels"
    membership_auc: Estimate | None
    spearman_with_log_ratio: Estimate | None
    agreement: float | None
    "mean correlation with the other seeds; None for a constant reward, or of one seed"
    chosen: bool
    "by that agreement, before any label was read"


class RecoveryReport(Record):
    """recovery.json, the result of `irl recover`."""

    run_id: str
    reward: str
    "what kind of function it is, in words"
    fit: Fit
    accuracy: list[Accuracy]
    recovery: Recovery | None = None
    "over all seeds, where several rewards were fitted"
    words: WordsVerdict | None = None
    "of linear rewards on counts of words, where log-ratios are known to judge them by"
    caveats: tuple[Caveat, ...] = ()
    aligned: Checkpoint | None = None
    reference: Checkpoint | None = None
    "of a pair; samples bring none"
    by_seed: list[SeedFit] | None = None
    truth: list[TruthAgreement] | None = None
    "empty where it is not known; these four may be absent from reports of earlier versions"
