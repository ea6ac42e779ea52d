"""Which of several fits to use, without looking at a label.

Restarted fits of this field rank texts in reverse in a quarter to a half of the cases, and headline
figures are the best of many, chosen by the labels. Here the member is chosen that agrees most with
the others: the largest mean correlation within prompts. Members that hardly tell answers apart are
named and take no part.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from irl.distances import centred
from irl.rewards.heads import Scores

CONSTANT_SHARE = 0.01
"A member is constant if it spreads less than this share of the median member, or nothing at all"
NARROW_SHARE = 0.05
"The middle half of what a nearly constant member says spans less than this share of its deviation"
_NOTHING = 1e-6


@dataclass(frozen=True)
class Consensus:
    """The choice, and what it rests on."""

    chosen: int
    agreement: Float[Tensor, " member"]
    "mean correlation with the other members; NaN for constant ones, or alone"
    constant: Bool[Tensor, " member"]


def consensus(scores: Scores, prompt: Int[Tensor, " row"]) -> Consensus:
    """Choose among members by their scores of the same responses."""
    within = centred(scores.double(), prompt)
    spread = within.square().mean(-1).sqrt()
    constant = spread <= torch.clamp(CONSTANT_SHARE * spread.quantile(0.5), min=_NOTHING)
    live = (~constant).nonzero().squeeze(1)
    agreement = torch.full((len(scores),), torch.nan, dtype=torch.float64)
    if len(live) > 1:
        unit = within[live] / within[live].norm(dim=-1, keepdim=True)
        rho = unit @ unit.T
        agreement[live] = (rho.sum(1) - 1) / (len(live) - 1)
    chosen = int(live[0]) if len(live) == 1 else int(agreement.nan_to_num(-2.0).argmax())
    return Consensus(chosen, agreement, constant)


def nearly_constant(scores: Scores) -> Bool[Tensor, " member"]:
    """Members that say much the same of most responses: their spread is that of a few outliers.

    A reward that counts rare words does so too, and rightly; so this names, and leaves out nobody.
    """
    quarters = scores.double().quantile(torch.tensor([0.25, 0.75], dtype=torch.float64), dim=-1)
    narrow: Tensor = quarters[1] - quarters[0] <= NARROW_SHARE * scores.double().std(-1)
    return narrow
