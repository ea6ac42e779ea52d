"""Members of an ensemble on features that are already there: fitted together, or as trees."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from irl.config import Learning
from irl.errors import InputError
from irl.losses import Losses, Sides, absolute, bradley_terry, generalised, pointwise
from irl.recovery.boosting import boosted
from irl.recovery.examples import Examples
from irl.recovery.fit import Aim, fit
from irl.rewards.boosted import Boosted
from irl.rewards.heads import Form, Head, linear, mlp

Loss = Literal["bradley-terry", "pointwise", "generalised", "absolute"]
LearnerForm = Literal["linear", "mlp", "boosted"]
_LOSSES: Mapping[str, Callable[[Sides], Losses]] = MappingProxyType(
    {
        "bradley-terry": bradley_terry,
        "pointwise": pointwise,
        "generalised": generalised,
        "absolute": absolute,
    }
)
Features = Float[Tensor, "pair feature"]


@dataclass(frozen=True)
class Training:
    """How members are fitted."""

    form: LearnerForm
    loss: Loss
    hidden: tuple[int, ...]
    "widths of an mlp's hidden layers"
    bootstrap: bool
    learning: Learning


def members(
    chosen: Features, rejected: Features, cluster: NDArray[np.int64], how: Training
) -> Head | Boosted:
    """One member for each seed.

    Raises:
        InputError: there are too few prompts, or trees are asked for a loss they do not know.
    """
    examples = Examples.of_pairs(chosen, rejected, torch.from_numpy(cluster))
    if how.form == "boosted":
        if how.loss not in ("bradley-terry", "pointwise"):
            raise InputError(
                f"Boosted trees know the losses bradley-terry and pointwise, not {how.loss}."
            )
        classified = how.loss == "pointwise"
        trees, _ = boosted(examples, how.learning, pointwise=classified, bootstrap=how.bootstrap)
        return trees
    loss = _LOSSES[how.loss]
    form: Form = linear if how.form == "linear" else mlp(*how.hidden)
    aim = Aim(lambda _, scores: loss(scores))
    return fit(examples, form, aim, how.learning, bootstrap=how.bootstrap).head
