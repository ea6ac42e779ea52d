"""recovery.json: what `irl recover` writes."""

from irl.records.audit import Accuracy, Fit, Recovery
from irl.records.base import Caveat, Estimate, Record


class WordsVerdict(Record):
    """The words that a method pays most, judged on prompts that had no part in choosing them."""

    objective: bool
    "would an audit call them one?"
    terms: list[str]
    r2: Estimate | None
    "share of the log-ratio's variance within prompts, beyond length"
    sd_nats: Estimate | None
    p_value: float


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
