"""The area under the ROC curve within groups, with clusters drawn again.

Over couples (one high, one low) of the same group, with cluster weights w:

    AUC = sum_g sum_s W+(g, s) (W-(g, below s) + W-(g, s) / 2)  /  sum_g W+(g) W-(g)

where s runs over the distinct scores of group g. Ties count one half. Only couples within a group
are compared, so a constant per group (the unidentified c(prompt)) changes nothing. A group that is
one cluster and is drawn c times makes c groups, whose couples do not mix: its couples weigh c, by
a weight of sqrt(c) for each response. Elsewhere responses weigh c.
"""

import numpy as np
from numpy.typing import NDArray

from irl.bootstrap import DRAWS, draw_counts, percentile_estimate, share
from irl.records import Estimate

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
_CHUNK = 100
"Draws at a time: bounds the memory to a hundred weights per response"


def grouped_auc(
    scores: Array, high: NDArray[np.bool_], group: Codes, cluster: Codes, seed: int = 0
) -> Estimate | None:
    """P(high scores above low) within groups; None without couples or with a single cluster."""
    if not len(scores):
        return None
    cluster = np.unique(cluster, return_inverse=True)[1]
    n = int(cluster.max()) + 1
    order = np.lexsort((scores, group))
    scores, high, group, cluster = scores[order], high[order], group[order], cluster[order]
    new_group = np.diff(group, prepend=group[0] - 1) != 0
    new_grade = new_group | (np.diff(scores, prepend=scores[0]) != 0)
    grades, groups = np.flatnonzero(new_grade), np.flatnonzero(new_group)
    first_grade = np.searchsorted(grades, groups)
    group_of_grade = np.searchsorted(groups, grades, side="right") - 1
    alone = np.minimum.reduceat(cluster, groups) == np.maximum.reduceat(cluster, groups)
    exponents = np.where(alone, 0.5, 1.0)[new_group.cumsum() - 1]

    def values(counts: Array) -> Array:
        weights = counts[:, cluster] ** exponents
        positive = np.add.reduceat(weights * high, grades, axis=1)
        negative = np.add.reduceat(weights * ~high, grades, axis=1)
        before = negative.cumsum(1) - negative
        before -= before[:, first_grade][:, group_of_grade]
        wins = (positive * (before + negative / 2)).sum(1)
        totals = np.add.reduceat(weights * high, groups, axis=1)
        totals = totals * np.add.reduceat(weights * ~high, groups, axis=1)
        result: Array = wins / totals.sum(1)
        return result

    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(values(np.ones((1, n)))[0])
        counts = draw_counts(n, DRAWS, seed)
        drawn = np.concatenate([values(counts[at : at + _CHUNK]) for at in range(0, DRAWS, _CHUNK)])
    return share(percentile_estimate(value, drawn, n)) if n > 1 else None
