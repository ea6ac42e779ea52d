"""Recovery by the log-ratio: what explains the summed log-ratio of whole responses?

At a KL-regularised optimum log pi_aligned(y|x) / pi_reference(y|x) = (R(x, y) - c(x)) / beta
(2305.18290), so regressing it on counts of terms, within prompts, gives each term's reward over
beta. Averaging the log-ratios of a term's own tokens does not: a token's log-ratio is Q - V
(2404.12358) and lies where the policy decided, not where the reward is paid.

1. Candidates: words in enough responses, and the number of words of a response.
2. Keep the words whose weight differs from 0 at a false discovery rate; refit until stable.
3. Offer phrases: those that the residuals ask for beyond the kept words; refit and drop again.
4. Cross-fitting: steps 2 and 3 on the prompts outside each fold predict the responses inside.

Not identified: a constant per prompt, the scale beta, and the split between features that always
occur together. Selection and intervals assume the term reward; what it misses shows in `fit.r2`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack

from irl.bootstrap import draw_counts
from irl.config import Fitting
from irl.recovery.least_squares import RIDGE, Design, significant, solve
from irl.rewards.terms import MAX_TERM_WORDS, TermReward, count_terms, ngrams, words

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
MAX_PHRASES = 50
MIN_FREE_SHARE = 0.1
"A phrase must vary this much beyond the words already kept"
_ROWS_PER_CANDIDATE = 8
"Least squares with more columns would fit its own noise"
_NEGLIGIBLE_NATS = 1e-3
"Added to every error: where nothing is noisy, the bias of the ridge is no finding"
_SCREENING_FACTOR = 10.0
"The first pass is that much more lenient: its standard errors carry all candidates' noise"


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
    texts: Sequence[str], returns: Array, prompt: Codes, fold: Codes, fitting: Fitting, seed: int
) -> TermFit:
    """Fit a sparse term reward to summed log-ratios.

    Args:
        texts: the responses.
        returns: their summed log-ratios, nats.
        prompt: prompt number of each, 0 .. n - 1 all used.
        fold: fold of each, a function of the prompt.
        fitting: thresholds.
        seed: of the bootstrap.
    """
    catalogue = _Catalogue.of(texts, prompt, fitting)
    whole = _select(catalogue, returns, np.ones(len(texts), dtype=bool), fitting)
    held_out = np.zeros((3, len(texts)))
    for number in np.unique(fold):
        inside = fold == number
        if inside.all():
            break
        part = _select(catalogue, returns, ~inside, fitting)
        design = catalogue.design.rows(inside).columns(part.columns)
        held_out[:, inside] = _predictions(design, part, fitting.bootstrap_draws, seed)
    reward, order = catalogue.reward(whole)
    draws = _draws(whole, fitting.bootstrap_draws, seed)
    return TermFit(reward, draws[:, order], *held_out)


@dataclass(frozen=True)
class _Selection:
    columns: Codes
    weights: Array
    influence: Array


@dataclass(frozen=True)
class _Catalogue:
    """All candidate features: first the number of words, then words, then phrases."""

    terms: tuple[str, ...]
    design: Design
    n_words: int
    "candidates that are single words"

    @classmethod
    def of(cls, texts: Sequence[str], prompt: Codes, fitting: Fitting) -> "_Catalogue":
        single = candidates(texts, 1, fitting)
        phrases = candidates(texts, MAX_TERM_WORDS, fitting)
        terms = (*single, *phrases)
        lengths = csr_matrix(np.array([[float(len(words(text)))] for text in texts]))
        counts = count_terms(texts, terms).astype(np.float64)
        features = csr_matrix(hstack([lengths, counts], format="csr"))
        return cls(terms, Design(features, prompt), len(single))

    def reward(self, selection: _Selection) -> tuple[TermReward, list[int]]:
        """The reward, and where in the selection its weights (per word last) stand."""
        places = {int(column): at for at, column in enumerate(selection.columns)}
        chosen = [column for column in places if column > 0]
        order = [places[column] for column in chosen]
        per_word = float(selection.weights[places[0]]) if 0 in places else 0.0
        reward = TermReward(
            tuple(self.terms[column - 1] for column in chosen),
            tuple(float(selection.weights[at]) for at in order),
            per_word=per_word,
        )
        return reward, [*order, places.get(0, len(places))]


def candidates(texts: Sequence[str], max_words: int, fitting: Fitting) -> list[str]:
    """Words (max_words 1), or phrases of 2 to max_words words, that occur in enough responses."""
    responses: Counter[str] = Counter()
    for text in texts:
        responses.update(set(ngrams(text, max_words)))
    frequent = [
        (term, n)
        for term, n in responses.items()
        if n >= fitting.min_responses and (max_words == 1 or " " in term)
    ]
    frequent.sort(key=lambda item: (-item[1], item[0]))
    most = min(fitting.max_candidates, len(texts) // _ROWS_PER_CANDIDATE)
    return [term for term, _ in frequent[:most]]


def _select(
    catalogue: _Catalogue, returns: Array, rows: NDArray[np.bool_], fitting: Fitting
) -> _Selection:
    design, y = catalogue.design.rows(rows), returns[rows]
    present = np.asarray((design.features != 0).sum(0)).ravel() >= fitting.min_responses // 2
    single = np.arange(1 + catalogue.n_words)[present[: 1 + catalogue.n_words]]
    phrases = np.flatnonzero(present)[len(single) :]
    rate = fitting.false_discovery_rate
    screened = single[_kept(design, y, single, _SCREENING_FACTOR * rate, len(single))]
    kept = _drop(design, y, screened, rate, len(single))
    asked = _asked_phrases(design, y, kept, phrases, rate)
    if len(asked):
        kept = _drop(design, y, np.concatenate([kept, asked]), rate, len(single) + len(phrases))
    solution = solve(design.columns(kept), y)
    return _Selection(kept, solution.weights, solution.influence)


def _kept(design: Design, y: Array, columns: Codes, rate: float, tried: int) -> NDArray[np.bool_]:
    solution = solve(design.columns(columns), y)
    z = solution.weights / (solution.standard_errors + _NEGLIGIBLE_NATS)
    return significant(z, rate, tried, len(solution.influence))


def _drop(design: Design, y: Array, columns: Codes, rate: float, tried: int) -> Codes:
    while not (keep := _kept(design, y, columns, rate, tried)).all():
        columns = columns[keep]
    return columns


def _asked_phrases(design: Design, y: Array, kept: Codes, phrases: Codes, rate: float) -> Codes:
    """Score test of each phrase against the residuals, given the kept features."""
    if not len(phrases):
        return phrases
    base, offered = design.columns(kept), design.columns(phrases)
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
    asked = np.flatnonzero(significant(z, rate, len(phrases), len(solution.influence)))
    return phrases[asked[np.argsort(-np.abs(z[asked]))][:MAX_PHRASES]]


def _draws(selection: _Selection, n_draws: int, seed: int) -> Array:
    """One-step cluster bootstrap, w + sum_g (count_g - 1) influence_g; a zero column at the end."""
    groups = len(selection.influence)
    counts = draw_counts(groups, n_draws, seed)
    drawn = selection.weights + (counts - 1.0) @ selection.influence
    return np.concatenate([drawn, np.zeros((n_draws, 1))], axis=1)


def _predictions(design: Design, selection: _Selection, n_draws: int, seed: int) -> Array:
    """Predictions of responses and their interval, [value | low | high, response], centred."""
    n_features = len(selection.columns)
    if not n_features:
        return np.zeros((3, len(design.group)))
    value = design.predict(selection.weights)
    draws = _draws(selection, n_draws, seed)[:, :n_features]
    low, high = np.quantile([design.predict(row) for row in draws], [0.025, 0.975], axis=0)
    return np.stack([value, np.minimum(low, value), np.maximum(high, value)])
