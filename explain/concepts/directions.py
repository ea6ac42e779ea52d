"""Directions of concepts and of random ones, learnt on other prompts than they are used on.

    v = sum_i z_i h_i / sum_i z_i^2

where z_i is 1 for a text with the concept and 0 without, less its mean over the texts of the same
stratum (one policy's answers to one prompt): the mean difference of texts with and without it. The
pattern, not the weights of a classifier: those also point away from whatever disturbs the
classification (Haufe et al. 2014; Pahde et al. 2025, 2202.03482), and moving along them would move
that too.

A random concept gives the same texts the same labels in another order within each stratum: as many
with and without it, of the same prompts and policies. All are linear in the labels, so a thousand
of them cost two products of matrices.

Invariant under a change of scale of the hidden states, of the target and of v, and under constants
of a prompt in either.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irl.within import centred, spread

Array = NDArray[np.float64]
Floats = NDArray[np.float32]
Codes = NDArray[np.int64]
FOLDS = 5
_AT_ONCE = 250
"Random concepts that are tried together: bounds memory"


@dataclass(frozen=True)
class Texts:
    """Texts with and without a concept, at one layer."""

    hidden: Floats
    "[text, width]"
    positive: NDArray[np.bool_]
    stratum: Codes
    "texts that are compared with each other"
    prompt: Codes
    "that each stands behind, numbered as those of the answers are"

    @property
    def weights(self) -> Array:
        """z: labels less their mean in the stratum; 0 where all texts of a stratum are alike."""
        return centred(self.positive.astype(np.float64), self.stratum)

    @property
    def prompts(self) -> int:
        """To which both were said."""
        return len(np.unique(self.prompt[self.weights != 0]))


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
    derivatives: Array
    "mean, per standard deviation of the coordinate"


def held_out_coordinates(texts: Texts) -> Array:
    """How far each text lies along the direction learnt on texts of other prompts."""
    found = np.zeros(len(texts.prompt))
    for fold, direction in _directions(texts, texts.weights[:, None]):
        rows = texts.prompt % FOLDS == fold
        found[rows] = (texts.hidden[rows] @ direction)[:, 0]
    return found


def coordinates(texts: Texts, answers: Answers) -> Array:
    """How far each answer lies from its prompt's mean, in standard deviations within prompts."""
    place = _moved(texts, answers, texts.weights[:, None])[0][:, 0].astype(np.float64)
    found = centred(place, answers.prompt)
    sd = spread(found, answers.prompt)
    return found / sd if sd > 0 else found


def along(texts: Texts, answers: Answers) -> Along:
    """What the concept's own direction does."""
    return _along(texts, answers, texts.weights[:, None])


def along_random(texts: Texts, answers: Answers, draws: int, seed: int) -> Iterator[Along]:
    """What random concepts do, some at a time."""
    rng = np.random.default_rng([seed, 31])
    for start in range(0, draws, _AT_ONCE):
        yield _along(texts, answers, shuffled(texts, min(_AT_ONCE, draws - start), rng))


def shuffled(texts: Texts, draws: int, rng: np.random.Generator) -> Array:
    """The weights in a random order within each stratum, [text, draw]."""
    held = np.argsort(texts.stratum, kind="stable")
    keys = rng.random((draws, len(held)))
    drawn = np.argsort(keys + texts.stratum, axis=1)
    found = np.empty((len(held), draws))
    found[held] = texts.weights[drawn].T
    return found


def _along(texts: Texts, answers: Answers, weights: Array) -> Along:
    place, slope = _moved(texts, answers, weights)
    prompts = [
        rows for rows in _members(answers.prompt) if np.ptp(answers.values[rows]) > 0
    ]  # else no answer has more of the target
    scores = [_rising(place[rows], answers.values[rows]) for rows in prompts]
    positive = (slope > 0) + 0.5 * (slope == 0)
    per_sd = slope * [spread(column, answers.prompt) for column in place.T.astype(np.float64)]
    return Along(
        np.array(scores),
        np.array([positive[rows].mean(0) for rows in prompts]),
        np.array([per_sd[rows].mean(0) for rows in prompts]),
    )


def _moved(texts: Texts, answers: Answers, weights: Array) -> tuple[Floats, Floats]:
    """Coordinates of the answers and derivatives of their targets, [answer, direction]."""
    place = np.zeros((len(answers.prompt), weights.shape[1]), np.float32)
    slope = np.zeros_like(place)
    hidden = _about_prompt(answers.hidden, answers.prompt)
    for fold, direction in _directions(texts, weights):
        rows = answers.prompt % FOLDS == fold
        place[rows] = hidden[rows] @ direction
        slope[rows] = answers.gradient[rows] @ direction
    return place, slope


def _directions(texts: Texts, weights: Array) -> Iterator[tuple[int, Floats]]:
    """Each fold of prompts with the directions learnt outside it, [width, direction]."""
    narrow, squares = weights.astype(np.float32), texts.weights**2
    whole = texts.hidden.T @ narrow
    for fold in range(FOLDS):
        inside = texts.prompt % FOLDS == fold
        direction = whole - texts.hidden[inside].T @ narrow[inside]
        yield fold, direction / np.float32(squares[~inside].sum() or 1.0)


def _rising(place: Floats, values: Array) -> Array:
    """Of pairs that differ in value: the share that differ alike in place, ties one half."""
    a, b = np.triu_indices(len(values), 1)
    signs = np.sign(values[a] - values[b])
    a, b, signs = a[signs != 0], b[signs != 0], signs[signs != 0]
    alike = np.sign(place[a] - place[b]) * signs.astype(np.float32)[:, None]
    result: Array = (1 + alike.mean(0, dtype=np.float64)) / 2
    return result


def _about_prompt(hidden: Floats, prompt: Codes) -> Floats:
    """Less the mean of the prompt, which no comparison within prompts sees: digits are kept."""
    result = hidden.copy()
    for rows in _members(prompt):
        result[rows] -= hidden[rows].mean(0)
    return result


def _members(groups: Codes) -> list[Codes]:
    order = np.argsort(groups, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
