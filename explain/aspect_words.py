"""What aspects say, in words."""

from collections.abc import Iterator
from typing import Final

from explain.aspect_prices import Priced
from irl.records import Aspect, Caveat

MEANING: Final = (
    "Weight: the price, in nats, of one more unit of the aspect with the other declared aspects "
    "held fixed. An undeclared feature that goes with an aspect is priced with it; what no aspect "
    "explains is in the residuals."
)
_READINGS: Final = {
    "direction": "The log-ratio reads as a direction: take the signs of these weights, not their "
    "sizes.",
    "unreadable": "The log-ratio reads as nothing: these weights say what went with the change of "
    "the policy, not what was paid for.",
    "order": "The log-ratio reads as an order: weights of one sign can be ranked, not measured.",
}


def aspect_warning(readability: str | None) -> str:
    """What the verdict on the log-ratio means for the weights; empty if they hold as they are."""
    return _READINGS.get(readability or "", "")


def explained(r2: str | None) -> str:
    """How much the declared aspects explain together.

    Args:
        r2: the share with its interval, as it is shown; None where it was not measured.
    """
    if r2 is None:
        return "How much the declared aspects explain together was not measured."
    return (
        f"Together the declared aspects explain {r2} of the within-prompt variance of the summed "
        "log-ratio, on prompts they were not fitted to."
    )


def not_priced(aspect: Aspect) -> str:
    """Why an aspect has no weight, or what its weight carries beside it; empty if neither."""
    others = ", ".join(aspect.tied_to)
    match aspect.status:
        case "constant":
            return "constant: the same in all answers to a prompt"
        case "rare":
            return "rare: it varies in too few prompts"
        case "tied":
            return f"not told apart from {others}"
        case "priced":
            return f"carries what {others} is paid too" if others else ""


def aspect_caveats(priced: Priced) -> list[Caveat]:
    """Which aspects have no price, and why there is no R2."""
    return [Caveat(code=code, text=text) for code, text in _caveats(priced)]


def _caveats(priced: Priced) -> Iterator[tuple[str, str]]:
    without = [row for row in priced.aspects if row.weight is None]
    if without:
        reasons = "; ".join(f"{row.name} ({not_priced(row)})" for row in without)
        yield "not-measured-aspects", f"Aspects without a price: {reasons}."
    if priced.r2 is None:
        yield (
            "not-measured-aspects-r2",
            "The prompts are too few to hold some out, or their answers do not differ in their "
            "log-ratio, so aspects_r2 and drop_one_r2 are null.",
        )
