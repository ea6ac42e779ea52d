"""Within-prompt arithmetic: a reward is known up to a constant of each prompt, so it is centred."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def centred(values: Array, groups: NDArray[np.int64]) -> Array:
    """Values minus the mean of their group; a group of one becomes 0."""
    counts = np.bincount(groups)
    means = np.bincount(groups, weights=values) / np.maximum(counts, 1)
    result: Array = values - means[groups]
    return result
