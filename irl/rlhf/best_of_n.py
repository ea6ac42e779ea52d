"""Best-of-n without a policy to train: the expected gold reward of the answer a proxy picks.

Of N answers to a prompt, sorted by the proxy, rank i (1 the worst) is the best of a random subset
of n with probability C(i - 1, n - 1) / C(N, n), so

    E[gold of the best of n] = sum_i C(i - 1, n - 1) / C(N, n) gold_(i)

is unbiased over draws of the N answers (a U-statistic; 2210.10760, appendix), where averages over a
few picked subsets are noisy and resampling with replacement is biased. Tied answers share their
ranks' weights: whichever came first has no say. KL(best-of-n | policy) <= ln n - (n - 1) / n nats,
with equality where no two answers tie.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from irl.bootstrap import from_sums, ratio
from irl.errors import InputError
from irl.records import Estimate

Array = NDArray[np.float64]
PUBLISHED_N = (1, 2, 5, 10, 30, 50, 100, 300, 500)
"2411.04991, with 1 for the policy itself"


def kl_nats(n: int) -> float:
    """KL of best-of-n against the policy, at most; nats."""
    return math.log(n) - (n - 1) / n


def rank_weights(n_answers: int, n: int) -> Array:
    """Probability that each rank, the worst first, is the best of n of the answers.

    Raises:
        InputError: there are fewer answers than n.
    """
    if not 1 <= n <= n_answers:
        raise InputError(f"The best of {n} cannot be told from {n_answers} answers; draw more.")
    able = np.arange(n, n_answers + 1)
    logs = gammaln(able) - gammaln(n) - gammaln(able - n + 1)  # C(i - 1, n - 1)
    weights = np.zeros(n_answers)
    weights[n - 1 :] = np.exp(logs - logs.max())
    weights /= weights.sum()
    return weights


def best_of_n(proxy: Array, values: Array, ns: Sequence[int]) -> Array:
    """Expected value of the answer that the proxy picks of n, for each n.

    Args:
        proxy: of each answer to one prompt.
        values: of the same answers in the same order: gold, or the proxy itself.
        ns: each at most the number of answers.

    Raises:
        InputError: proxy and values do not belong together, are not finite, or some n is too large.
    """
    if proxy.shape != values.shape:
        raise InputError(f"{len(proxy)} proxy scores and {len(values)} values do not go together.")
    if not (np.isfinite(proxy).all() and np.isfinite(values).all()):
        raise InputError("Some scores are NaN or infinite; such answers cannot be ranked.")
    grade = np.unique(proxy, return_inverse=True)[1]
    size = np.bincount(grade)
    means = np.bincount(grade, weights=values) / size
    ends = np.cumsum(size)
    total = _cumulated(len(proxy), tuple(ns))
    found: Array = means @ (total[ends] - total[ends - size])
    return found


@lru_cache(maxsize=16)
def _cumulated(n_answers: int, ns: tuple[int, ...]) -> Array:
    """Probability that the best of n is among the worst k answers, [k, n] with k from 0."""
    weights = np.stack([rank_weights(n_answers, n) for n in ns], axis=1)
    return np.concatenate([np.zeros((1, len(ns))), np.cumsum(weights, axis=0)])


def curve(
    proxy: Sequence[Array], values: Sequence[Array], ns: Sequence[int], seed: int = 0
) -> tuple[Array, list[Estimate | None]]:
    """Best-of-n of several prompts: per prompt [prompt, n], and the mean with its interval.

    Args:
        proxy: one array a prompt.
        values: the same.
        ns: as above.
        seed: of the bootstrap over prompts.

    Raises:
        InputError: as for `best_of_n`, or there is no prompt.
    """
    if not len(proxy):
        raise InputError("A curve needs at least one prompt with several answers.")
    each = np.stack([best_of_n(p, v, ns) for p, v in zip(proxy, values, strict=True)])
    prompts = np.arange(len(each))
    one = np.ones(len(each))
    return each, [from_sums(np.stack([at, one], 1), prompts, ratio, seed=seed) for at in each.T]
