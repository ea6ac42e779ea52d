"""Word weights by exact ridge regression, where there are more words than a head can be fitted to.

    w = argmin sum_i (y_i - c - w' x_i)^2 + penalty |w|^2

over responses i to one prompt (or to none), with x the counts of words, sparse, and y whatever the
weights should explain: log-ratios, or a true reward for comparison. Each seed leaves out its share
of the groups and takes the penalty that predicts them best; the weights are those of that fit.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.linear_model import Ridge

from irl.recovery.fit import hold_out

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
_TOLERANCE = 1e-7


def ridge_weights(
    counts: csr_matrix,
    values: Array,
    group: Codes,
    penalties: Sequence[float],
    seeds: Sequence[int],
    share: float = 0.2,
) -> Array:
    """The weights of each seed, [seed, word].

    Args:
        counts: [response, word].
        values: y of each response.
        group: what is left out together, 0 .. n - 1 all used.
        penalties: to choose from.
        seeds: of the groups that are left out.
        share: of these.
    """
    return np.stack([_of_seed(counts, values, group, penalties, seed, share) for seed in seeds])


def _of_seed(
    counts: csr_matrix,
    values: Array,
    group: Codes,
    penalties: Sequence[float],
    seed: int,
    share: float,
) -> Array:
    out = hold_out(int(group.max()) + 1, share, seed)[torch.from_numpy(group.copy())].numpy()
    fits = [
        Ridge(alpha=penalty, tol=_TOLERANCE).fit(counts[~out], values[~out])
        for penalty in penalties
    ]
    errors = [float(((values[out] - fit.predict(counts[out])) ** 2).mean()) for fit in fits]
    best: Array = np.asarray(fits[int(np.argmin(errors))].coef_, dtype=np.float64)
    return best
