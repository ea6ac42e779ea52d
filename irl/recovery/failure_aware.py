"""Failure-aware: Bradley-Terry, then further passes that dwell on the pairs it gets wrong.

After a first fit, pairs that it ranks the wrong way or ties weigh more, and the fit goes on from
where it was; clear failures come first, near ties last (after 2510.06092: a correction path on
misranked and tied pairs, from easy to subtle).

Two policies give many of the same answers, so pairs are "wrong" by nature as often as their
densities overlap. Dwelling on those bends the reward away from the log-ratio, so only its order is
to be read.
"""

import torch

from irl.config import Learning
from irl.losses import Losses, Sides, mean_over
from irl.recovery.bradley_terry import by_pairs
from irl.recovery.examples import Batch, Examples
from irl.recovery.fit import Aim, Fitted, Loss, fit, joined, one_by_one
from irl.rewards.heads import Form, Head

PASSES = (-1.0, 0.0, 0.1)
"A pair counts as failed below this margin, nats: clearly misranked, misranked, tied"
EXTRA = 1.0
"A failed pair weighs this much more"


def by_failures(examples: Examples, form: Form, learning: Learning) -> Fitted:
    """One plain fit and three passes over its failures."""
    first = by_pairs(examples, form, learning)
    if not one_by_one(first.parts):
        return _passes(examples, form, learning, first)
    # The weights of pairs are those of the member at hand, so each makes all passes by itself.
    singles = [learning.model_copy(update={"seeds": (seed,)}) for seed in learning.seeds]
    return joined(
        [_passes(examples, form, single, first.member(at)) for at, single in enumerate(singles)]
    )


def _passes(examples: Examples, form: Form, learning: Learning, first: Fitted) -> Fitted:
    fitted = first
    for below in PASSES:
        aim = Aim(_dwelling(fitted.head, below))
        fitted = fit(examples, form, aim, learning, start=fitted.parts)
    return fitted


def _dwelling(earlier: Head, below: float) -> Loss:
    """The logistic loss with more weight on pairs that an earlier reward puts below a margin."""

    def loss(batch: Batch, scores: Sides) -> Losses:
        with torch.no_grad():
            before = batch.sides(earlier(batch.features)).margins
        tries = len(scores.aligned) // len(before)  # each member of the earlier reward has several
        weights = 1 + EXTRA * (before < below).float().repeat_interleave(tries, 0)
        losses = weights * torch.nn.functional.softplus(-scores.margins)
        return mean_over(losses, scores.pairs) / mean_over(weights, scores.pairs)

    return loss
