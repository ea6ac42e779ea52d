"""What restarted fits say together: never the best of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CHANCE = 0.5


@dataclass(frozen=True)
class Spread:
    """Pair accuracy over the members of a fit."""

    n: int
    mean: float
    sd: float | None
    "None for a single member"
    min: float
    max: float
    sign_flip_share: float
    "of members that rank worse than chance"


def spread(accuracies: Sequence[float]) -> Spread:
    """Mean, standard deviation (n - 1), extremes, and how many rank in reverse.

    Args:
        accuracies: pair accuracy of each member; NaN members (constant ones) count as 0.5, since
            that is what ties come to.
    """
    values = np.nan_to_num(np.asarray(accuracies, dtype=np.float64), nan=CHANCE)
    return Spread(
        n=len(values),
        mean=float(values.mean()),
        sd=float(values.std(ddof=1)) if len(values) > 1 else None,
        min=float(values.min()),
        max=float(values.max()),
        sign_flip_share=float((values < CHANCE).mean()),
    )
