"""From the scores of several members to one: what an ensemble says.

    mean       mean of the members
    median     median of the members
    min        worst-case optimisation, WCO (2310.02743, eq. 2)
    uwo        mean - lambda * variance, UWO (2310.02743, eq. 3); the variance is that of the
               members at hand, ddof 0, so one member has none and lambda 0 is the mean
    quantile   the q-quantile over members, linear between them; q 0 is the minimum

All are functions of standardised members (see `irl.rewards.ensemble`): members know neither a
common zero nor a common unit. Not identified: each member's constant of each prompt. Within a
prompt it moves the mean by a constant, but it enters the minimum and the variance; two ensembles
whose members agree on every pair may therefore differ under all aggregations but the mean.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from irl.rewards.heads import Scores

Kind = Literal["mean", "median", "min", "uwo", "quantile"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Row = Float[Tensor, " row"]


@dataclass(frozen=True)
class Aggregation:
    """One of the above, with its parameter."""

    kind: Kind = "mean"
    penalty: float = 0.5
    "lambda of uwo; .5 is theirs for best-of-n, .1 for PPO"
    level: float = 0.25
    "q of quantile"

    def __call__(self, scores: Scores) -> Row:
        """One score of each row."""
        match self.kind:
            case "mean":
                return scores.mean(0)
            case "median":
                return scores.quantile(0.5, dim=0)
            case "min":
                return scores.amin(0)
            case "uwo":
                return uncertainty_weighted(scores, self.penalty)
            case "quantile":
                return scores.quantile(self.level, dim=0)

    def __str__(self) -> str:
        parameter = {"uwo": f" (lambda {self.penalty:g})", "quantile": f" ({self.level:g})"}
        return self.kind + parameter.get(self.kind, "")


def uncertainty_weighted(scores: Scores, penalty: float) -> Row:
    """Mean - penalty * variance over members (ddof 0); exactly the mean where penalty is 0."""
    mean: Tensor = scores.mean(0)
    return mean - penalty * scores.var(0, correction=0) if penalty else mean


def disagreement(margins: Scores) -> Row:
    """Standard deviation over members (ddof 1) of each pair's margin; 0 for one member.

    Of margins, not of scores: a member's constant of a prompt cancels.
    """
    return margins.std(0) if len(margins) > 1 else torch.zeros_like(margins[0])
