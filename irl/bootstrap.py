"""95 % intervals by cluster bootstrap: whole clusters (prompts, or pairs) are drawn again.

Most statistics here are functions of sums over clusters (ratios, R2, correlations), so a draw is
one row of multinomial counts times the matrix of cluster sums.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, rankdata

from irl.records import Estimate

Array = NDArray[np.float64]
DRAWS = 1000
_TIED = 1e-7
"Share of the largest value: centring within prompts leaves errors of rounding"


def codes(clusters: Sequence[object]) -> NDArray[np.int64]:
    """Clusters numbered from 0 in order of first appearance."""
    number: dict[object, int] = {}
    return np.array([number.setdefault(cluster, len(number)) for cluster in clusters], dtype=int)


def draw_counts(n_clusters: int, draws: int, seed: int) -> Array:
    """How often each cluster is drawn, [draw, cluster]; each row sums to n_clusters."""
    generator = np.random.default_rng(seed)
    shares = np.full(n_clusters, 1.0 / n_clusters)
    return generator.multinomial(n_clusters, shares, size=draws).astype(np.float64)


def from_sums(
    columns: Array,
    clusters: NDArray[np.int64],
    statistic: Callable[[Array], Array],
    *,
    seed: int = 0,
    draws: int = DRAWS,
) -> Estimate | None:
    """Estimate a statistic of column sums.

    Args:
        columns: what is summed, [row, column].
        clusters: cluster number of each row.
        statistic: maps sums [draw, column] to values [draw].
        seed: of the draws.
        draws: number of bootstrap draws.

    Returns:
        The percentile interval; None with fewer than two clusters or an undefined value.
    """
    n = int(clusters.max()) + 1 if len(clusters) else 0
    if n < 2:
        return None
    sums = np.zeros((n, columns.shape[1]))
    np.add.at(sums, clusters, columns)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(statistic(sums.sum(0)[None])[0])
        drawn = statistic(draw_counts(n, draws, seed) @ sums)
    return percentile_estimate(value, drawn, n)


def percentile_estimate(value: float, drawn: Array, n: int) -> Estimate | None:
    """An estimate from bootstrap draws; undefined draws are left out."""
    drawn = drawn[np.isfinite(drawn)]
    if not np.isfinite(value) or not len(drawn):
        return None
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(value=value, low=min(low, value), high=max(high, value), n=n)


def crossed_means(values: Array, seed: int = 0, draws: int = DRAWS) -> Array:
    """Means over all axes but the last, of which each is drawn again by itself: [draw, column].

    The pigeonhole bootstrap (Owen 2007): rows and columns of a table that are both a sample, such
    as trainings and prompts; its intervals are at least as wide as needed.
    """
    drawn = np.broadcast_to(values, (draws, *values.shape))
    for axis in range(values.ndim - 1):
        counts = draw_counts(drawn.shape[1], draws, seed + axis) / drawn.shape[1]
        drawn = np.einsum("da,da...->d...", counts, drawn)
    return drawn


def crossed_mean(values: Array, seed: int = 0) -> Estimate | None:
    """The mean of a table with its interval by `crossed_means`; n counts its last axis."""
    if values.size == 0 or values.shape[-1] < 2:
        return None
    drawn = crossed_means(values[..., None], seed)[:, 0]
    return percentile_estimate(float(values.mean()), drawn, values.shape[-1])


def ratio(sums: Array) -> Array:
    """First column over second."""
    return sums[..., 0] / sums[..., 1]


def share(estimate: Estimate | None) -> Estimate | None:
    """Widen the interval of a share that is exactly 0 or 1, where every draw repeats it.

    The end becomes the exact binomial one (Clopper-Pearson) for n clusters.
    """
    if estimate is None or estimate.value not in (0.0, 1.0):
        return estimate
    low, high = estimate.low, estimate.high
    if estimate.value == 1.0:
        low = min(low, float(beta.ppf(0.025, estimate.n, 1)))
    else:
        high = max(high, float(beta.ppf(0.975, 1, estimate.n)))
    return Estimate(value=estimate.value, low=low, high=high, n=estimate.n)


def rank_correlation(
    first: Array, second: Array, clusters: NDArray[np.int64], seed: int = 0
) -> Estimate | None:
    """Spearman's correlation; ranks are taken once, over all rows."""
    if not len(first) or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return correlation(_ranks(first), _ranks(second), clusters, seed)


def correlation(
    first: Array, second: Array, clusters: NDArray[np.int64], seed: int = 0
) -> Estimate | None:
    """Pearson's correlation."""
    if not len(first) or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    x, y = first - first.mean(), second - second.mean()
    columns = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=1)
    return from_sums(columns, clusters, _pearson, seed=seed)


def _ranks(values: Array) -> Array:
    """Average ranks; values are tied if only rounding tells them apart."""
    order = np.argsort(values)
    steps = np.diff(values[order], prepend=values[order[0]]) > _TIED * np.abs(values).max()
    grades = np.empty(len(values))
    grades[order] = steps.cumsum()
    ranks: Array = rankdata(grades)
    return ranks


def _pearson(sums: Array) -> Array:
    n, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    spread = np.sqrt((xx - x * x / n) * (yy - y * y / n))
    correlation: Array = (xy - x * y / n) / spread
    return correlation
