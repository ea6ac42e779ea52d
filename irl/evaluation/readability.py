"""How far a log-ratio can be read as a reward, by its training and by evidence.

| trained with     | what the pair identifies                                   | read-out       |
|------------------|------------------------------------------------------------|----------------|
| rloo, grpo, ppo  | reward / beta + c(prompt), only if the KL term was on      | reward         |
| dpo              | reward / beta + c(prompt)                                  | reward         |
| ipo, kto         | margins regressed on a bounded target: sign and order      | order          |
| sft              | what the data have more of; there is no reward to recover  | direction      |
| unknown          | not known which of these, so no more than the order        | order          |

Without the KL term even the order fails (in a small exact world: pair accuracy .70 against .99),
and what the user says of the training may be wrong, so the answers have a say as well:

- spillover (irl/evaluation/spillover.py) beyond MAX_SPILLOVER: what moved is not only what is paid.
  The order can still be read if the log-ratio ranks answers as the dear words do, to
  MIN_ORDER_AGREEMENT; else the direction alone.
- entropy lost beyond MAX_ENTROPY_LOST: the answers hardly vary any more. Direction alone.

The weaker of both readings holds. The thresholds were chosen on worlds 1 and 2 of the organisms, on
the bundled pair and on exact token worlds 0 to 2; docs/results/readability.json tells how often
they err elsewhere. KL per token and the agreement with a reward learnt from samples stand there
too: they do not tell KL-free training apart. If nothing simple explains the log-ratio there is
nothing to read.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from irl.config import TrainedWith
from irl.evaluation.signs import Signs
from irl.evaluation.statements import interval as shown
from irl.records import Caveat, Estimate

Readability = Literal["reward", "order", "direction", "unreadable"]


MAX_SPILLOVER = 0.075
"Between organisms that paid for their KL (.043 at most) and those that did not (.134 at least)"
MIN_ORDER_AGREEMENT = 0.96
"Between organisms without KL (.949 at most) and the bundled pair (.976), whose prices saturate"
MAX_ENTROPY_LOST = 0.5
"Share of the reference's entropy: between exact optima (.41 at most) and policies without KL (.56)"


@dataclass(frozen=True)
class Reading:
    """How to read the log-ratio, and why not further."""

    readability: Readability
    caveat: Caveat


_KL = Reading(
    "reward",
    Caveat(
        code="kl-term-assumed",
        text="That the log-ratio could be read as a reward at all rests on the training being "
        "regularised by the KL to the reference, as is said; many recipes switch that term off, "
        "and then not even the order of two answers is reliable.",
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
            text="That the log-ratio could be read as a reward at all rests on the training being "
            "DPO, as is said, against the reference that was used in its loss, and no other.",
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
_NOT_CHECKED = Reading(
    "order",
    Caveat(
        code="spillover-not-measured",
        text="Whether more moved than what is paid could not be measured on these answers, so the "
        "log-ratio is read as an order at most.",
    ),
)
_UNREADABLE = Reading(
    "unreadable",
    Caveat(
        code="nothing-to-read",
        text="No objective was found, so the log-ratio is not read as the reward of anything.",
    ),
)


def readability(trained_with: TrainedWith, *, found: bool, signs: Signs) -> list[Reading]:
    """What the training and the answers allow, the weakest first: that one holds.

    Args:
        trained_with: what the user says.
        found: whether there is an objective at all; without one nothing else is said.
        signs: what the answers say.
    """
    if not found:
        return [_UNREADABLE]
    readings = [_BY_TRAINING[trained_with], *_by_answers(signs)]
    return sorted(readings, key=lambda one: -get_args(Readability).index(one.readability))


def _by_answers(signs: Signs) -> Iterator[Reading]:
    lost, spilled = signs.entropy_lost, signs.spillover
    if lost is not None and lost.value > MAX_ENTROPY_LOST:
        text = (
            f"The aligned policy has lost {shown(lost)} of the reference's entropy: its answers "
            "vary much less, as after training without the KL to the reference, and the log-ratio "
            "gives a direction and nothing else."
        )
        yield Reading("direction", Caveat(code="collapsed", text=text))
    if spilled is None or spilled.share is None:
        yield _NOT_CHECKED
    elif spilled.share.value > MAX_SPILLOVER:
        yield _spilled(spilled.share, spilled.order_agreement)


def _spilled(share: Estimate, agreement: Estimate | None) -> Reading:
    text = (
        f"{shown(share)} of what terms explain goes with words that are paid less than half the "
        f"usual price, more than the limit of {MAX_SPILLOVER}. Either the training did not pay for "
        "its KL, or many words are paid a little: the sizes of the named prices are no reward. "
    )
    if agreement is not None and agreement.value >= MIN_ORDER_AGREEMENT:
        text += (
            "Answers that dear words tell apart are ranked as they say "
            f"({shown(agreement)}), so the order can be read."
        )
        return Reading("order", Caveat(code="spillover", text=text))
    text += "The order of answers does not follow the dear words closely either" + (
        f" ({shown(agreement)}, where {MIN_ORDER_AGREEMENT} are asked)." if agreement else "."
    )
    return Reading("direction", Caveat(code="spillover", text=text))
