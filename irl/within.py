"""Within-prompt arithmetic: a reward is known up to a constant of each prompt, so it is centred."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_ROUNDING = 1e-14
"Relative error of a mean of floats"


def spread(values: Array, groups: NDArray[np.int64]) -> float:
    """Standard deviation within groups, by the degrees of freedom that centring leaves.

    0 where every group has one value.
    """
    free = len(values) - len(np.unique(groups))
    return float(np.sqrt((centred(values, groups) ** 2).sum() / free)) if free > 0 else 0.0


def centred(values: Array, groups: NDArray[np.int64]) -> Array:
    """Values minus the mean of their group; equal values, or a group of one, become exactly 0."""
    counts = np.bincount(groups)
    means = np.bincount(groups, weights=values) / np.maximum(counts, 1)
    result: Array = values - means[groups]
    result[np.abs(result) <= _ROUNDING * np.abs(values)] = 0.0
    return result
