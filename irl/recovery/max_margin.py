"""Maximum margin: a bounded linear reward that puts the aligned policy's answers above.

    box    maximise E[p(r(a) - r(b))], p(m) = m, 2 m below 0, |w_i| <= 1     (Ng and Russell 2000)
    ball   maximise E[r(a) - r(b)], ||w|| <= 1                               (Abbeel and Ng 2004)

on features as they are given: what the bound means depends on their units. Both losses are
homogeneous: without the bound they run away, which a released trainer of this field shows (-55 to
-4,779 in 30 epochs). Only the order is identified: not the scale, and with the box hardly the
weights' relative sizes.
"""

import torch

from irl.config import Learning
from irl.errors import InputError
from irl.losses import Losses, Sides, margin
from irl.recovery.examples import Batch, Examples
from irl.recovery.fit import Aim, Constraint, Fitted, fit
from irl.rewards.heads import Form, Head, linear


def by_box(examples: Examples, form: Form, learning: Learning) -> Fitted:
    """Negative margins count double, every weight lies in [-1, 1].

    Raises:
        InputError: the form is not linear.
    """
    return _bounded(examples, form, learning, _into_box, penalty=2.0)


def by_ball(examples: Examples, form: Form, learning: Learning) -> Fitted:
    """The difference of mean features, of length 1.

    Raises:
        InputError: the form is not linear.
    """
    return _bounded(examples, form, learning, _into_ball, penalty=1.0)


def _bounded(
    examples: Examples, form: Form, learning: Learning, constraint: Constraint, penalty: float
) -> Fitted:
    if form is not linear:
        raise InputError(
            "max-margin knows a bound for linear rewards only; give it the form linear."
        )

    def loss(_: Batch, scores: Sides) -> Losses:
        return margin(scores, penalty)

    return fit(examples, form, Aim(loss, constraint=constraint), learning)


@torch.no_grad()
def _into_box(head: Head) -> None:
    (weights,) = head.parameters()
    weights.clamp_(-1.0, 1.0)


@torch.no_grad()
def _into_ball(head: Head) -> None:
    (weights,) = head.parameters()
    weights.div_(weights.norm(dim=(1, 2), keepdim=True).clamp(min=1.0))
