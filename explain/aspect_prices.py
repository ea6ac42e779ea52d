"""Prices of declared aspects: within-prompt least squares of the summed log-ratio.

    log-ratio(x, y) = c(x) + sum_j w_j aspect_j(x, y) + what is not declared

w_j is the price of one more unit of aspect j with the other declared aspects held fixed, in nats,
that is reward / beta.

1. Leave out aspects that are the same in all answers to a prompt, that vary in too few prompts, or
   that the ones declared before them explain all but entirely.
2. Fit the others, standardised, to all answers; intervals over whole prompts.
3. Cross-fit, with all of them and without each in turn: R2, what R2 loses, and residuals.

Not identified: a constant of each prompt, the scale beta, and whether an aspect is paid or an
undeclared feature that goes with it. What no declared aspect explains stands in the residuals.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.stats import norm, t

from irl.bootstrap import DRAWS, draw_counts, percentile_estimate
from irl.records import Aspect, AspectResidual, AspectStatus, Estimate
from irl.recovery.least_squares import RIDGE, Design, freedom, solve
from irl.within import centred

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
MIN_CARRIERS: Final = 3.0
"An aspect must vary in as many prompts (n*, see irl/recovery/least_squares.py)"
MIN_FREE_SHARE: Final = 0.02
"Of its variance, which the aspects declared before it must leave unexplained"
MAX_RESIDUALS: Final = 10


@dataclass(frozen=True)
class Measured:
    """Aspects of responses."""

    names: Sequence[str]
    units: Sequence[str]
    values: Array
    "[response, aspect]"


@dataclass(frozen=True)
class Answered:
    """The responses; one entry each."""

    response_ids: Sequence[str]
    returns: Array
    "summed log-ratio, nats"
    aligned: NDArray[np.bool_]
    "True where the aligned policy wrote it"
    prompt: Codes
    "prompt number, 0 .. n - 1 all used"
    fold: Codes
    "a function of the prompt"


@dataclass(frozen=True)
class Priced:
    """What the declared aspects explain."""

    aspects: list[Aspect]
    r2: Estimate | None
    residuals: list[AspectResidual]


def price(measured: Measured, answered: Answered, seed: int = 0) -> Priced:
    """Regress the summed log-ratio on aspects, within prompts."""
    prompt = answered.prompt
    y = centred(answered.returns, prompt)
    x = np.stack([centred(column, prompt) for column in measured.values.T], axis=1)
    sd = np.sqrt((x**2).sum(0) / max(len(y) - int(prompt.max()) - 1, 1))
    status, tied_to = _sorted_out(x / np.where(sd > 0, sd, 1.0), prompt)
    chosen = np.flatnonzero([one == "priced" for one in status])
    scale = sd[chosen]
    weights = _weights(measured.values[:, chosen] / scale, answered, seed) / scale
    crossed = _Crossed.of(x[:, chosen] / scale, y, answered.fold)
    r2, lost, residuals = _cross_fitted(crossed, answered, seed)
    aspects = []
    for at, name in enumerate(measured.names):
        place = np.flatnonzero(chosen == at)
        weight, low, high = weights[:, place[0]].tolist() if len(place) else (None,) * 3
        one = Aspect(
            name=name,
            unit=measured.units[at],
            status=status[at],
            tied_to=[measured.names[other] for other in tied_to[at]],
            weight=weight,
            low=low,
            high=high,
            sd=float(sd[at]),
            drop_one_r2=lost[place[0]] if len(place) else None,
            reference_rate=float(measured.values[~answered.aligned, at].mean()),
            aligned_rate=float(measured.values[answered.aligned, at].mean()),
        )
        aspects.append(one)
    return Priced(aspects, r2, residuals)


def _sorted_out(x: Array, prompt: Codes) -> tuple[list[AspectStatus], list[list[int]]]:
    """The status of each standardised aspect, and what it is tied to."""
    squares = np.stack([np.bincount(prompt, weights=column**2) for column in x.T], axis=1)
    total = squares.sum(0)
    carriers = total**2 / np.where(total > 0, (squares**2).sum(0), 1.0)
    status: list[AspectStatus] = ["priced"] * x.shape[1]
    tied_to: list[list[int]] = [[] for _ in status]
    gram, kept = x.T @ x, list[int]()
    for at in range(x.shape[1]):
        if total[at] == 0:
            status[at] = "constant"
        elif carriers[at] < MIN_CARRIERS:
            status[at] = "rare"
        elif _free_share(gram, at, kept) < MIN_FREE_SHARE:
            status[at], tied_to[at] = "tied", _partners(gram, at, kept)
        else:
            kept.append(at)
    for at, partners in enumerate(list(tied_to)):
        for other in partners:
            tied_to[other] = [*tied_to[other], at]
    return status, tied_to


def _free_share(gram: Array, at: int, others: Sequence[int]) -> float:
    """The share of an aspect's variance that others leave unexplained."""
    if not others:
        return 1.0
    mixed = gram[others, at]
    known = gram[np.ix_(others, others)]
    return float(1 - mixed @ _solved(known, mixed) / gram[at, at])


def _partners(gram: Array, at: int, kept: Sequence[int]) -> list[int]:
    """The fewest that explain an aspect, chosen one by one."""
    chosen: list[int] = []
    left = list(kept)
    while left and _free_share(gram, at, chosen) >= MIN_FREE_SHARE:
        best = min(left, key=lambda other: _free_share(gram, at, [*chosen, other]))
        chosen.append(best)
        left.remove(best)
    return sorted(chosen)


def _solved(gram: Array, cross: Array) -> Array:
    """Least squares; the ridge only breaks ties."""
    return np.asarray(np.linalg.solve(gram + RIDGE * np.eye(len(gram)), cross), dtype=np.float64)


def _weights(values: Array, answered: Answered, seed: int) -> Array:
    """Weights with the ends of their intervals, [value | low | high, aspect].

    Bootstrap over prompts, w + sum_g (count_g - 1) influence_g, widened by Student's t to the
    number of prompts that carry the aspect.
    """
    solution = solve(Design(csr_matrix(values), answered.prompt), answered.returns)
    counts = draw_counts(len(solution.influence), DRAWS, seed)
    moved = (counts - 1.0) @ solution.influence
    wider: Array = t.ppf(0.975, freedom(solution.groups)) / norm.ppf(0.975)
    low, high = np.quantile(moved, [0.025, 0.975], axis=0) * wider
    weights = solution.weights
    return np.stack([weights, weights + np.minimum(low, 0), weights + np.maximum(high, 0)])


@dataclass(frozen=True)
class _Crossed:
    """Standardised aspects and log-ratios, centred, with the sums of each fold."""

    x: Array
    y: Array
    inside: list[NDArray[np.bool_]]
    "of each fold, its responses"
    gram: Array
    "[fold, aspect, aspect]"
    cross: Array
    "[fold, aspect]"

    @classmethod
    def of(cls, x: Array, y: Array, fold: Codes) -> "_Crossed":
        inside = [fold == number for number in np.unique(fold)]
        return cls(
            x,
            y,
            inside,
            np.stack([x[rows].T @ x[rows] for rows in inside]),
            np.stack([x[rows].T @ y[rows] for rows in inside]),
        )

    def predicted(self, columns: Codes) -> Array:
        """Of each response, by the fit to the other folds."""
        found = np.zeros(len(self.y))
        gram, cross = self.gram[:, columns][:, :, columns], self.cross[:, columns]
        for number, rows in enumerate(self.inside):
            weights = _solved(gram.sum(0) - gram[number], cross.sum(0) - cross[number])
            found[rows] = self.x[rows][:, columns] @ weights
        return found


def _cross_fitted(
    crossed: _Crossed, answered: Answered, seed: int
) -> tuple[Estimate | None, list[Estimate | None], list[AspectResidual]]:
    """R2, what it loses without each aspect, and the responses that are explained worst."""
    y, prompt = crossed.y, answered.prompt
    every = np.arange(crossed.x.shape[1])
    if len(crossed.inside) < 2 or not y.any():
        return None, [None] * len(every), []
    predicted = crossed.predicted(every)
    squared = (y - predicted) ** 2
    without = [(y - crossed.predicted(np.delete(every, at))) ** 2 - squared for at in every]
    r2, *lost = _shares(np.stack([y * y - squared, *without]), y * y, prompt, seed)
    left = y - predicted
    worst = np.argsort(-np.abs(left), kind="stable")[:MAX_RESIDUALS]
    residuals = [
        AspectResidual(
            response_id=answered.response_ids[at],
            log_ratio_nats=float(y[at]),
            residual_nats=float(left[at]),
        )
        for at in worst
    ]
    return r2, lost, residuals


def _shares(parts: Array, whole: Array, prompt: Codes, seed: int) -> list[Estimate | None]:
    """The sum of each part over that of the whole; all from one draw of prompts.

    Args:
        parts: [part, response].
        whole: of each response.
        prompt: what is drawn.
        seed: of the draws.
    """
    sums = np.stack([np.bincount(prompt, weights=row) for row in (whole, *parts)], axis=1)
    drawn = draw_counts(len(sums), DRAWS, seed) @ sums
    values = sums.sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = drawn[:, 1:] / drawn[:, :1]
    return [
        percentile_estimate(float(value / values[0]), share, len(sums))
        for value, share in zip(values[1:], shares.T, strict=True)
    ]
