"""Which responses need a person, and why: nothing like it was seen, it is close, or near errors.

    out of distribution   mean distance to the k nearest answers that the reward was fitted to, in
                          embeddings of the reference, beyond 95 % of held-out answers
    locally wrong         of the pairs of the k nearest held-out answers, more are ranked wrongly
                          than everywhere: the exact binomial interval lies above the overall rate
    boundary              |2 P - 1| below a quantile of the same of the data policy's own answers,
                          the quantile at the error rate on held-out pairs: as many answers are
                          called close as pairs are wrong

Distances are those of single responses: differences of pairs hide what is unlike anything known
(2207.05161 asks this of classes; of preferences its densities find nothing). A density of errors is
a weak detector, so the local error is a rate with an interval and n, and a small margin is only
small.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from irl.evaluation.neighbours import Near
from irl.evaluation.trust import Uncertainty
from irl.records.trust import Category

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
LEAST_RATE = 0.05
"Of the margins that are called close, where the reward is hardly ever wrong"
CATEGORIES: tuple[Category, ...] = ("out-of-distribution", "locally-wrong", "boundary", "settled")


@dataclass(frozen=True)
class LocalError:
    """Share of wrong pairs among neighbours, with its exact 95 % interval; [response]."""

    rate: Array
    low: Array
    high: Array
    pairs: NDArray[np.int64]
    "how many different pairs the neighbours belong to"


@dataclass(frozen=True)
class Triage:
    """What is said of every response."""

    beyond: Flags
    locally_wrong: Flags
    boundary: Flags

    @property
    def category(self) -> list[Category]:
        """The first that holds: without anything like it, neither error nor margin means much."""
        flags = np.stack([self.beyond, self.locally_wrong, self.boundary])
        first = np.where(flags.any(0), flags.argmax(0), len(flags))
        return [CATEGORIES[at] for at in first]


@dataclass(frozen=True)
class Sorted:
    """What is said of every response, and what it is said by."""

    triage: Triage
    said: Uncertainty
    distance: Array
    "to the nearest fitted answers"
    near: Near
    "the nearest held-out answers"
    local: LocalError


def margin(probability: Array) -> Array:
    """|2 P - 1|: 0 where nothing is preferred."""
    result: Array = np.abs(2 * probability - 1)
    return result


def margin_limit(own: Array, error_rate: float) -> float:
    """The margin up to which a response is close.

    Args:
        own: margins of the data policy's own answers.
        error_rate: on held-out pairs.
    """
    return float(np.quantile(own, min(max(error_rate, LEAST_RATE), 1.0)))


def local_error(near: Near, pair_of: NDArray[np.int64], wrong: Array) -> LocalError:
    """Of the held-out pairs that the nearest held-out answers belong to, each counted once.

    Args:
        near: the nearest held-out answers.
        pair_of: the pair of each held-out answer, as rows of `wrong`.
        wrong: 1 for a pair that is ranked wrongly, one half for a tie, else 0.
    """
    pairs = [np.unique(pair_of[row]) for row in near.at]
    n = np.array([len(some) for some in pairs], dtype=np.int64)
    k = np.array([wrong[some].sum() for some in pairs])
    low, high = binomial_interval(k, n)
    return LocalError(k / n, low, high, n)


def binomial_interval(k: Array, n: NDArray[np.int64]) -> tuple[Array, Array]:
    """The exact 95 % interval (Clopper-Pearson) of k of n."""
    with np.errstate(invalid="ignore"):
        low = np.where(k > 0, beta.ppf(0.025, k, n - k + 1), 0.0)
        high = np.where(k < n, beta.ppf(0.975, k + 1, n - k), 1.0)
    return low, high


def triage(distance: Array, margins: Array, local: LocalError, limits: Sequence[float]) -> Triage:
    """Every response in its category.

    Args:
        distance: mean distance to the k nearest fitted answers.
        margins: of each response.
        local: errors near it.
        limits: of distance and margin, and the overall error rate.
    """
    far, close, overall = limits
    return Triage(
        beyond=distance > far, locally_wrong=local.low > overall, boundary=margins <= close
    )
