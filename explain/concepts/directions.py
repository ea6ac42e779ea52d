"""Directions of concepts and of random ones, learnt on other prompts than they are used on.

    w = ((1 - s) S + s m I)^-1 v, scaled to length 1,    v = sum_i z_i h_i

z_i is 1 for a text with the concept and 0 without, less its mean over the texts of the same stratum
(one policy's answers to one prompt), so v is the mean difference of texts with and without; S is
the covariance of hidden states within strata, m the mean of its eigenvalues, s the share of Ledoit
and Wolf (2004). w is the normal of a linear discriminant, the concept activation vector of Kim et
al. (2018). The mean difference v alone would not do: hidden states differ most in what most answers
differ in, so on organisms most concepts' v point along length (correlations of .9).

A random concept gives the same texts the same labels in another order within each stratum: as many
with and without it, of the same prompts and policies. All are linear in the labels, so a thousand
of them cost a few products of matrices.

Invariant under a change of scale of the hidden states, of the target and of w, and under constants
of a prompt in hidden states and target.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from irl.within import centred, spread

Array = NDArray[np.float64]
Floats = NDArray[np.float32]
Codes = NDArray[np.int64]
FOLDS = 5
_AT_ONCE = 250
"Random concepts that are tried together: bounds memory"
_SMALLEST = 1e-6
"Ridge relative to the mean eigenvalue, where no shrinkage is called for"


@dataclass(frozen=True)
class Texts:
    """Texts that directions are learnt on, at one layer."""

    hidden: Floats
    "[text, width]"
    stratum: Codes
    "texts that are compared with each other"
    prompt: Codes
    "that each stands behind, numbered as those of the answers are"

    @cached_property
    def learners(self) -> list[Callable[[Array], Array]]:
        """Of each fold of prompts: from weights of all texts to directions learnt outside."""
        x, fold = _about(self.hidden, self.stratum), self.prompt % FOLDS
        return [_discriminant(x, fold != number) for number in range(FOLDS)]

    def weights(self, positive: NDArray[np.bool_]) -> Array:
        """z: labels less their mean in the stratum; 0 where all texts of a stratum are alike."""
        return centred(positive.astype(np.float64), self.stratum)


@dataclass(frozen=True)
class Answers:
    """Answers that a target is asked about, at one layer."""

    hidden: Floats
    "[answer, width]"
    gradient: Floats
    "of the target, [answer, width]"
    values: Array
    "the target"
    prompt: Codes


@dataclass(frozen=True)
class Along:
    """What was found along directions, [prompt, direction] of prompts whose answers differ."""

    score: Array
    "share of pairs of answers in which the one further along has more of the target"
    tcav: Array
    "share of answers with a positive derivative"
    derivative: Array
    "mean, per standard deviation of the coordinate"


def held_out(texts: Texts, weights: Array) -> Array:
    """How far each text lies along the direction learnt on texts of other prompts."""
    found = np.zeros(len(texts.prompt))
    for fold, learn in enumerate(texts.learners):
        rows = texts.prompt % FOLDS == fold
        found[rows] = (texts.hidden[rows] @ learn(weights[:, None]))[:, 0]
    return found


def coordinates(texts: Texts, weights: Array, answers: Answers) -> Array:
    """How far each answer lies from its prompt's mean, in standard deviations within prompts."""
    found = centred(_moved(texts, weights[:, None], answers)[0][:, 0], answers.prompt)
    sd = spread(found, answers.prompt)
    return found / sd if sd > 0 else found


def along(texts: Texts, weights: Array, answers: Answers) -> Along:
    """What directions do, by the weights that they are learnt by, [text, direction]."""
    place, slope = _moved(texts, weights, answers)
    prompts = [
        rows for rows in _members(answers.prompt) if np.ptp(answers.values[rows]) > 0
    ]  # elsewhere no answer has more of the target
    positive = (slope > 0) + 0.5 * (slope == 0)
    per_sd = slope * [spread(column, answers.prompt) for column in place.T]
    return Along(
        np.array([_rising(place[rows], answers.values[rows]) for rows in prompts]),
        np.array([positive[rows].mean(0) for rows in prompts]),
        np.array([per_sd[rows].mean(0) for rows in prompts]),
    )


def along_random(
    texts: Texts, weights: Array, answers: Answers, draws: int, seed: int
) -> Iterator[Along]:
    """What random concepts do, some at a time."""
    rng = np.random.default_rng([seed, 31])
    for start in range(0, draws, _AT_ONCE):
        drawn = shuffled(weights, texts.stratum, min(_AT_ONCE, draws - start), rng)
        yield along(texts, drawn, answers)


def shuffled(weights: Array, stratum: Codes, draws: int, rng: np.random.Generator) -> Array:
    """The weights in random orders within each stratum, [text, draw]."""
    held = np.argsort(stratum, kind="stable")
    keys = rng.random((draws, len(held)))
    found = np.empty((len(held), draws))
    found[held] = weights[np.argsort(keys + stratum, axis=1)].T
    return found


def shrinkage(gram: Array, squares: Array, width: int) -> float:
    """The share of Ledoit and Wolf (2004) of centred rows x.

    Args:
        gram: x x' or x' x, whichever is smaller.
        squares: the squared length of each row.
        width: of a row.
    """
    n, mean = len(squares), squares.sum() / len(squares) / width
    size = (gram**2).sum() / n**2
    apart = size / width - mean**2
    noise = ((squares**2).mean() - size) / n / width
    return float(min(max(noise / apart, 0.0), 1.0)) if apart > 0 else 1.0


def _discriminant(x: Array, rows: NDArray[np.bool_]) -> Callable[[Array], Array]:
    """From weights [text, direction] to directions [width, direction], learnt on some rows of x."""
    x = x[rows]
    n, width = x.shape
    squares = (x**2).sum(1)
    if not squares.any():
        return lambda weights: np.zeros((width, weights.shape[1]))
    wide = width > n  # then (x'x + r)^-1 x' = x' (xx' + r)^-1 is the smaller one to solve
    gram = x @ x.T if wide else x.T @ x
    share = shrinkage(gram, squares, width)
    ridge = max(share, _SMALLEST) * squares.sum() / n / width
    factor = cho_factor((1 - share) / n * gram + ridge * np.eye(len(gram)))

    def learn(weights: Array) -> Array:
        z = weights[rows]
        normal: Array = x.T @ cho_solve(factor, z) if wide else cho_solve(factor, x.T @ z)
        unit: Array = normal / np.maximum(np.linalg.norm(normal, axis=0), 1e-300)
        return unit

    return learn


def _moved(texts: Texts, weights: Array, answers: Answers) -> tuple[Array, Array]:
    """Coordinates of answers, and derivatives of their targets by them, [answer, direction]."""
    place = np.zeros((len(answers.prompt), weights.shape[1]))
    slope = np.zeros_like(place)
    hidden = _about(answers.hidden, answers.prompt)  # no comparison sees the rest: digits are kept
    for fold, learn in enumerate(texts.learners):
        rows, direction = answers.prompt % FOLDS == fold, learn(weights)
        place[rows] = hidden[rows] @ direction
        slope[rows] = answers.gradient[rows] @ direction
    return place, slope


def _rising(place: Array, values: Array) -> Array:
    """Of pairs that differ in value: the share that differ alike in place, ties one half."""
    a, b = np.triu_indices(len(values), 1)
    signs = np.sign(values[a] - values[b])
    a, b, signs = a[signs != 0], b[signs != 0], signs[signs != 0]
    alike = np.sign(place[a] - place[b]) * signs[:, None]
    result: Array = (1 + alike.mean(0)) / 2
    return result


def _about(hidden: Floats, groups: Codes) -> Array:
    """Less the mean of the group."""
    result = hidden.astype(np.float64)
    for rows in _members(groups):
        result[rows] -= result[rows].mean(0)
    return result


def _members(groups: Codes) -> list[Codes]:
    order = np.argsort(groups, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
