"""The result of `irl best-of-n`."""

from irl.records.base import Caveat, Estimate, Record


class BestPoint(Record):
    """What the answer that the proxy picks of n is worth, less an answer picked blindly."""

    n: int
    kl_nats: float
    "ln n - (n - 1) / n: the KL against the policy, at most"
    proxy: Estimate | None
    gold: Estimate | None
    "None without a gold reward"


class FittedForm(Record):
    """Gold = d (alpha - beta d), d = sqrt(KL) (2210.10760)."""

    alpha: Estimate | None
    beta: Estimate | None
    peak_kl_nats: Estimate | None
    "where gold is highest; None where it does not turn in every draw of the prompts"
    r2: float


class BestOfNReport(Record):
    """Curves of proxy and gold over n, with intervals over prompts."""

    reward: str
    gold: str | None
    source: str
    prompts: int
    answers: int
    "to the prompt that has fewest of those that count"
    points: list[BestPoint]
    form: FittedForm | None
    "of gold; None without it, where it never changes, or with fewer than three points"
    left_out: dict[str, int]
    caveats: tuple[Caveat, ...] = ()
