"""How far a log-ratio can be read as a reward, by the way the aligned policy was trained.

| trained with     | what the pair identifies                                   | read-out       |
|------------------|------------------------------------------------------------|----------------|
| rloo, grpo, ppo  | reward / beta + c(prompt), only if the KL term was on      | reward         |
| dpo              | reward / beta + c(prompt)                                  | reward         |
| ipo, kto         | margins regressed on a bounded target: sign and order      | order          |
| sft              | what the data have more of; there is no reward to recover  | direction      |
| unknown          | not known which of these, so no more than the order        | order          |

Without the KL term even the order fails (in a small exact world: pair accuracy .70 against .99). If
nothing simple explains the log-ratio there is nothing to read.
"""

from dataclasses import dataclass
from typing import Literal

from irl.config import TrainedWith
from irl.records import Caveat

Readability = Literal["reward", "order", "direction", "unreadable"]


@dataclass(frozen=True)
class Reading:
    """How to read the log-ratio, and why not further."""

    readability: Readability
    caveat: Caveat


_KL = Reading(
    "reward",
    Caveat(
        code="kl-term-assumed",
        text="The log-ratio is read as a reward because the training is said to be regularised by "
        "the KL to the reference; many recipes switch that term off, and then not even the order "
        "of two answers is reliable.",
    ),
)
_BOUNDED = Reading(
    "order",
    Caveat(
        code="order-only",
        text="This training bounds the margins between answers, so the log-ratio gives the sign "
        "and the order of rewards, not their sizes.",
    ),
)
_BY_TRAINING: dict[TrainedWith, Reading] = {
    "rloo": _KL,
    "grpo": _KL,
    "ppo": _KL,
    "dpo": Reading(
        "reward",
        Caveat(
            code="reference-assumed",
            text="The log-ratio is read as a reward because the training is said to be DPO; that "
            "holds against the reference that was used in its loss, and no other.",
        ),
    ),
    "ipo": _BOUNDED,
    "kto": _BOUNDED,
    "sft": Reading(
        "direction",
        Caveat(
            code="direction-only",
            text="Fine-tuning on examples has no reward to recover: the log-ratio tells what the "
            "examples have more of, a direction and nothing else.",
        ),
    ),
    "unknown": Reading(
        "order",
        Caveat(
            code="training-unknown",
            text="It is not known how the aligned policy was trained, so the log-ratio is read as "
            "an order at most; --trained-with says it.",
        ),
    ),
}
_UNREADABLE = Reading(
    "unreadable",
    Caveat(
        code="nothing-to-read",
        text="No objective was found, so the log-ratio is not read as the reward of anything.",
    ),
)


def readability(trained_with: TrainedWith, *, found: bool) -> Reading:
    """What the training allows, if an objective was found at all."""
    return _BY_TRAINING[trained_with] if found else _UNREADABLE
