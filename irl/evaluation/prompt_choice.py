"""Which prompt for which query: choices, and what they lose against the oracle.

With p(q, j) the outcome of prompt j on query q, and w(q, .) the shares in which a method picks,

    regret(q) = max_j p(q, j) - sum_j w(q, j) p(q, j)  >=  0

Ties share evenly, so the order of prompts has no say. Four methods stand beside a reward head:

    oracle        picks by p itself: regret 0. Of logged outcomes it is a hindsight oracle, which
                  knows the luck of every trial; nothing that chooses beforehand reaches it
    best single   the prompt with the highest mean outcome on training queries
    random        any prompt: regret mean_j (max p - p(q, j))
    1-NN          the best prompt of the nearest training query

The worst prompt of a query is the best of 1 - p: the same functions say how far a choice of the
worst stays above it. Outcomes must mean the same under every prompt. A log-ratio does not:
log pi_aligned / pi_reference = r / beta + c(prompt), and any prompt can be made the best by c.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irl.bootstrap import from_sums
from irl.evaluation.pair_figures import mean_of
from irl.records import ChoiceFigures, Estimate

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]
_TIED = 1e-12
"Means of the same outcomes in another order differ by rounding"
HEAD, SINGLE, RANDOM, ORACLE, NEAREST = "head", "best single prompt", "random", "oracle", "1-NN"
METHODS = (HEAD, SINGLE, RANDOM, NEAREST, ORACLE)


def picks(scores: Array) -> Array:
    """Shares over the highest scores of each row, [query, prompt]; NaN is never picked.

    A row without any score has no shares: NaN.
    """
    known = np.isfinite(scores)
    filled = np.where(known, scores, -np.inf)
    highest = filled.max(1, keepdims=True)
    best = known & (filled >= highest - _TIED * np.maximum(np.abs(highest), 1.0))
    with np.errstate(invalid="ignore", divide="ignore"):
        shares: Array = best / best.sum(1, keepdims=True)
    return shares


def regret(outcomes: Array, shares: Array) -> Array:
    """What each query loses against its best prompt, [query]; NaN where some outcome is unknown."""
    lost = outcomes.max(1, keepdims=True) - outcomes
    found: Array = (lost * shares).sum(1)
    return found


def best_single(outcomes: Array, training: Mask) -> Array:
    """Shares over the prompts with the highest mean outcome on training queries, [prompt].

    Args:
        outcomes: [query, prompt], NaN where a prompt was not tried.
        training: which queries may be looked at.
    """
    shares: Array = picks(column_means(outcomes[training])[None])[0]
    return shares


def column_means(outcomes: Array) -> Array:
    """The mean of what is known of each prompt; NaN where nothing is."""
    known = np.isfinite(outcomes)
    with np.errstate(invalid="ignore", divide="ignore"):
        means: Array = np.where(known, outcomes, 0.0).sum(0) / known.sum(0)
    return means


def lowest(values: Array, n: int) -> Iterator[tuple[int, int]]:
    """Row and column of the n lowest values, lowest first; ties as they stand."""
    for at in np.argsort(values, axis=None, kind="stable")[:n].tolist():
        yield divmod(at, values.shape[1])


def nearest(features: Array, outcomes: Array, training: Mask) -> Array:
    """Shares over the best prompts of the nearest training query, [query, prompt].

    Queries are near by the cosine of their features; of equally near ones the outcomes are
    averaged first. Training queries without any outcome do not count.

    Args:
        features: [query, feature].
        outcomes: [query, prompt], NaN where a prompt was not tried.
        training: which queries may be looked at.
    """
    usable = np.flatnonzero(training & np.isfinite(outcomes).any(1))
    size = np.linalg.norm(features, axis=1, keepdims=True)
    unit = features / np.where(size > 0, size, 1.0)
    near = unit @ unit[usable].T
    close = near >= near.max(1, keepdims=True) - _TIED
    known = np.isfinite(outcomes[usable])
    with np.errstate(invalid="ignore", divide="ignore"):
        means = (close @ np.where(known, outcomes[usable], 0.0)) / (close @ known.astype(float))
    return picks(means)


@dataclass(frozen=True)
class Chosen:
    """What every method picks for every query, fold by fold: [query, prompt] shares."""

    shares: Mapping[str, Array]

    def regrets(self, outcomes: Array) -> dict[str, Array]:
        """Of each method, [query]."""
        return {name: regret(outcomes, shares) for name, shares in self.shares.items()}


def out_of_fold(scores: Array, outcomes: Array, features: Array, fold: Codes) -> Chosen:
    """The head and its baselines, none of which has seen the outcomes of the query's own fold.

    Args:
        scores: of the head, [query, prompt], from fits to the other folds.
        outcomes: [query, prompt], NaN where a prompt was not tried.
        features: of the queries, for the nearest one.
        fold: of each query; two at least.
    """

    def each(method: Callable[[Mask], Array]) -> Array:
        shares = np.full(outcomes.shape, np.nan)
        for number in np.unique(fold):
            inside = fold == number
            shares[inside] = np.broadcast_to(method(~inside), outcomes.shape)[inside]
        return shares

    return Chosen(
        {
            HEAD: picks(scores),
            SINGLE: each(lambda training: best_single(outcomes, training)),
            RANDOM: np.full(outcomes.shape, 1 / outcomes.shape[1]),
            NEAREST: each(lambda training: nearest(features, outcomes, training)),
            ORACLE: picks(outcomes),
        }
    )


def choice_figures(best: Chosen, worst: Chosen, outcomes: Array, seed: int) -> list[ChoiceFigures]:
    """What the choices of every method are worth, with intervals over queries.

    Regret needs queries on which every prompt was tried. The mean outcome of a method is that of
    the trials that are of its choice (replay): unbiased where prompts were tried at random.

    Args:
        best: choices of the best prompt.
        worst: choices of the worst one, made on outcomes turned round.
        outcomes: [query, prompt], NaN where a prompt was not tried.
        seed: of the bootstrap.
    """
    single = replayed(best.shares[SINGLE], outcomes)
    query = np.arange(len(outcomes))
    found = []
    for name in METHODS:
        own = replayed(best.shares[name], outcomes)
        columns = np.concatenate([own, single], 1)
        found.append(
            ChoiceFigures(
                method=name,
                regret=_over_queries(regret(outcomes, best.shares[name]), seed),
                worst_regret=_over_queries(regret(-outcomes, worst.shares[name]), seed),
                outcome=from_sums(columns, query, _value, seed=seed),
                beyond_single=from_sums(columns, query, _gain, seed=seed),
            )
        )
    return found


def replayed(shares: Array, outcomes: Array) -> Array:
    """Of each query: the outcomes of its trials, weighed by the shares of their prompts, and n."""
    weights = np.where(np.isfinite(outcomes), np.nan_to_num(shares), 0.0)
    return np.stack([(weights * np.nan_to_num(outcomes)).sum(1), weights.sum(1)], 1)


def _value(sums: Array) -> Array:
    value: Array = sums[..., 0] / sums[..., 1]
    return value


def _gain(sums: Array) -> Array:
    gain: Array = sums[..., 0] / sums[..., 1] - sums[..., 2] / sums[..., 3]
    return gain


def _over_queries(values: Array, seed: int) -> Estimate | None:
    judged = values[np.isfinite(values)]
    return mean_of(judged, np.arange(len(judged)), seed)
