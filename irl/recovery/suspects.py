"""Preference pairs whose label is likely wrong: rewards that never saw them disagree.

    agreement(pair) = mean over the members that held it out of sigmoid(r(chosen) - r(rejected))

A pair that no member held out has none. A low agreement is a reason to look, no proof: a rater who
answers by Bradley-Terry prefers the worse answer now and then, rightly so.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from irl.recovery.examples import Examples
from irl.recovery.fit import Fitted


def agreement(fitted: Fitted, examples: Examples) -> Float[Tensor, " prompt"]:
    """Held-out probability of each label; NaN where no member held the pair out."""
    batch = examples.batch(torch.arange(examples.n_prompts))
    with torch.no_grad():
        margins = batch.sides(fitted.head(batch.features)).margins[..., 0, 0]
    held_out = fitted.held_out.to(margins.dtype)
    mean: Tensor = (torch.sigmoid(margins) * held_out).sum(0) / held_out.sum(0)
    return mean


def suspects(fitted: Fitted, examples: Examples, most: int) -> Int[Tensor, " suspect"]:
    """The pairs with the lowest agreement, worst first."""
    order = agreement(fitted, examples).nan_to_num(torch.inf).argsort()
    return order[:most]
