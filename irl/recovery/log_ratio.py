"""Recovery by the log-ratio: what explains the summed log-ratio of whole responses?

At a KL-regularised optimum log pi_aligned(y|x) / pi_reference(y|x) = (R(x, y) - c(x)) / beta
(2305.18290), so regressing it on counts of terms, within prompts, gives each term's reward over
beta. Averaging the log-ratios of a term's own tokens does not: a token's log-ratio is Q - V
(2404.12358) and lies where the policy decided, not where the reward is paid.

1. Candidates: words in enough responses, and the number of words of a response.
2. Add words one by one, then keep those whose weight differs from 0 at a false discovery rate.
3. Offer phrases, and words under a condition on the prompt where one is given: those that the
   residuals ask for beyond the kept words; refit and drop again.
4. Cross-fitting: steps 2 and 3 on the prompts outside each fold predict the responses inside.

Not identified: a constant per prompt, the scale beta, and the split between features that always
occur together. Selection and intervals assume the term reward; what it misses shows in `fit.r2`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from irl.bootstrap import draw_counts
from irl.config import Fitting
from irl.errors import InputError
from irl.recovery.catalogue import MIN_FREE_SHARE, ROWS_PER_CANDIDATE, Catalogue, Conditioned
from irl.recovery.forward import added
from irl.recovery.least_squares import RIDGE, Design, Solution, significant, solve
from irl.rewards.conditions import TypedPrompt
from irl.rewards.terms import TermReward

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
MAX_ASKED = 50
_NEGLIGIBLE_NATS = 1e-3
"Added to every error: where nothing is noisy, the bias of the ridge is no finding"
_SAME = 1e-6
"Relative error of weights that are fitted again"
_MIN_EXPLAINED = 0.003
"A phrase must explain this share of the variance beyond the words; with many answers less shows"


@dataclass(frozen=True)
class TermFit:
    """A term reward with its uncertainty."""

    reward: TermReward
    draws: Array
    "[draw, term + 1]: bootstrap weights, the last column for the words' own price"
    out_of_fold: Array
    "[response]: predictions by the fit on the other folds, centred within the prompt, nats"
    low: Array
    high: Array
    "[response]: 95 % interval of that prediction, over the prompts of the other folds, nats"


def fit_terms(
    texts: Sequence[str],
    returns: Array,
    prompt: Codes,
    fold: Codes,
    fitting: Fitting,
    seed: int,
    conditioned: Conditioned | None = None,
) -> TermFit:
    """Fit a sparse term reward to summed log-ratios.

    Args:
        texts: the responses.
        returns: their summed log-ratios, nats.
        prompt: prompt number of each, 0 .. n - 1 all used.
        fold: fold of each, a function of the prompt.
        fitting: thresholds.
        seed: of the bootstrap.
        conditioned: a condition on the prompt under which words are offered as well.
    """
    catalogue = Catalogue.of(texts, prompt, fitting, conditioned)
    whole = select(catalogue, returns, np.ones(len(texts), dtype=bool), fitting)
    held_out = np.zeros((3, len(texts)))
    for number in np.unique(fold):
        inside = fold == number
        if inside.all():
            break
        part = select(catalogue, returns, ~inside, fitting)
        design = catalogue.design.rows(inside).columns(part.columns)
        held_out[:, inside] = _predictions(design, part.solution, fitting.bootstrap_draws, seed)
    reward, order = catalogue.reward(whole.columns, whole.solution.weights)
    draws = bootstrap_weights(whole.solution, fitting.bootstrap_draws, seed)
    draws = np.concatenate([draws, np.zeros((len(draws), 1))], axis=1)
    return TermFit(reward, draws[:, order], *held_out)


def drawn_again(
    reward: TermReward,
    texts: Sequence[str],
    asked: Sequence[TypedPrompt],
    returns: Array,
    prompt: Codes,
    draws: int,
    seed: int,
) -> Array:
    """The draws of `TermFit`, which no run stores, from what the reward was fitted to.

    Args:
        reward: of the fit.
        texts: the responses.
        asked: the prompt of each.
        returns: their summed log-ratios, nats.
        prompt: prompt number of each, 0 .. n - 1 all used.
        draws: of the bootstrap.
        seed: of it.

    Raises:
        InputError: these are not the responses that it was fitted to.
    """
    stored = np.array([*reward.weights, reward.per_word])
    kept = np.flatnonzero(stored)
    features = csr_matrix(reward.features(texts, asked)[:, kept])
    solution = solve(Design(features, prompt), returns)
    if not np.allclose(solution.weights, stored[kept], rtol=_SAME, atol=_SAME):
        raise InputError(
            "the answers at hand are not those that the reward was fitted to; repeat the audit."
        )
    drawn = np.zeros((draws, len(stored)))
    drawn[:, kept] = bootstrap_weights(solution, draws, seed)
    return drawn


@dataclass(frozen=True)
class Selection:
    """The columns that were kept, and their weights."""

    columns: Codes
    solution: Solution


def select(
    catalogue: Catalogue, returns: Array, rows: NDArray[np.bool_], fitting: Fitting
) -> Selection:
    """Keep the features that pay in some of the responses: steps 2 and 3."""
    design, y = catalogue.design.rows(rows), returns[rows]
    present = np.asarray((design.features != 0).sum(0)).ravel() >= fitting.min_responses // 2
    single = np.arange(1 + catalogue.n_words)[present[: 1 + catalogue.n_words]]
    others = np.flatnonzero(present)[len(single) :]
    rate = fitting.false_discovery_rate
    most = len(y) // ROWS_PER_CANDIDATE
    kept = _drop(design, y, added(design, y, single[single > 0], most), rate, len(single))
    # What a word pays on average hides what it pays outside the condition, so words come again.
    again = np.concatenate([single, others])
    for offered in (others, again) if any(catalogue.conditions) else (others,):
        asked = _asked(design, y, kept, np.setdiff1d(offered, kept), rate)
        if len(asked):
            kept = _drop(design, y, np.concatenate([kept, asked]), rate, len(again))
    return Selection(kept, solve(design.columns(kept), y))


def _kept(design: Design, y: Array, columns: Codes, rate: float, tried: int) -> NDArray[np.bool_]:
    solution = solve(design.columns(columns), y)
    z = solution.weights / (solution.standard_errors + _NEGLIGIBLE_NATS)
    return significant(z, rate, tried, solution.groups)


def _drop(design: Design, y: Array, columns: Codes, rate: float, tried: int) -> Codes:
    while not (keep := _kept(design, y, columns, rate, tried)).all():
        columns = columns[keep]
    return columns


def _asked(design: Design, y: Array, kept: Codes, others: Codes, rate: float) -> Codes:
    """Score test of each other feature against the residuals, given the kept ones."""
    if not len(others):
        return others
    base, offered = design.columns(kept), design.columns(others)
    solution = solve(base, y)
    noise = solution.residuals.std() + _NEGLIGIBLE_NATS
    own = offered.squares()
    free = own.copy()
    if len(kept):
        mixed = base.cross(offered)
        gram = base.cross(base) + RIDGE * np.eye(len(kept))
        free -= (mixed * np.linalg.solve(gram, mixed)).sum(0)
    pull = np.asarray(offered.features.T @ solution.residuals)
    z = np.where(free > MIN_FREE_SHARE * own, pull / (noise * np.sqrt(free.clip(RIDGE))), 0.0)
    telling = (z * noise) ** 2 >= _MIN_EXPLAINED * float(design.centre(y) @ y)
    asked = np.flatnonzero(telling & significant(z, rate, len(others), len(solution.influence)))
    return distinct(design, kept, others[asked[np.argsort(-np.abs(z[asked]))][:MAX_ASKED]])


def distinct(design: Design, kept: Codes, asked: Codes) -> Codes:
    """Without those that hardly vary beyond the kept features and the ones asked before them.

    "says the" and "gazette says the" would share one weight in any way, with large opposite parts.
    """
    columns = np.concatenate([kept, asked])
    every = design.columns(columns)
    gram = every.cross(every) + RIDGE * np.eye(len(columns))
    own, chosen = np.diag(gram), list(range(len(kept)))
    for at in range(len(kept), len(columns)):
        known = gram[np.ix_(chosen, chosen)]
        shared = gram[at, chosen] @ np.linalg.solve(known, gram[chosen, at]) if chosen else 0.0
        if own[at] - shared > MIN_FREE_SHARE * own[at]:
            chosen.append(at)
    return columns[chosen[len(kept) :]]


def bootstrap_weights(solution: Solution, n_draws: int, seed: int) -> Array:
    """Bootstrap over prompts, w + sum_g (count_g - 1) influence_g, [draw, feature]."""
    counts = draw_counts(len(solution.influence), n_draws, seed)
    drawn: Array = solution.weights + (counts - 1.0) @ solution.influence
    return drawn


def _predictions(design: Design, solution: Solution, n_draws: int, seed: int) -> Array:
    """Predictions of responses and their interval, [value | low | high, response], centred."""
    if not len(solution.weights):
        return np.zeros((3, len(design.group)))
    value = design.predict(solution.weights)
    draws = bootstrap_weights(solution, n_draws, seed)
    low, high = np.quantile([design.predict(row) for row in draws], [0.025, 0.975], axis=0)
    return np.stack([value, np.minimum(low, value), np.maximum(high, value)])
