"""Sign flips of whole prompts against explicit loops."""

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from irl.evaluation.sign_flips import FoldSums, draw_signs, explained, sign_flip_p
from irl.recovery.least_squares import RIDGE
from irl.within import centred

Array = NDArray[np.float64]
N_FOLDS, N_PROMPTS, SIZE = 4, 24, 5


@dataclass(frozen=True)
class Problem:
    """Features that differ from fold to fold, as they do when each fold chooses its own."""

    features: list[Array]
    returns: Array
    prompt: NDArray[np.int64]

    @property
    def fold(self) -> NDArray[np.int64]:
        return self.prompt % N_FOLDS

    @property
    def parts(self) -> list[FoldSums]:
        return [
            FoldSums.of(x, self.returns, self.prompt, self.fold == at)
            for at, x in enumerate(self.features)
        ]


def problem(seed: int, price: float = 0.0, n_features: int = 3) -> Problem:
    generator = np.random.default_rng(seed)
    prompt = np.repeat(np.arange(N_PROMPTS), SIZE)
    pool = generator.poisson(0.5, size=(len(prompt), n_features + N_FOLDS)).astype(float)
    pool = np.stack([centred(column, prompt) for column in pool.T], axis=1)
    returns = centred(price * pool[:, 0] + generator.normal(size=len(prompt)), prompt)
    features = [pool[:, [*range(n_features - 1), n_features + at]] for at in range(N_FOLDS)]
    return Problem(features, returns, prompt)


def slowly_explained(given: Problem, signs: Array) -> float:
    """Flip the returns, fit each fold's features on the other folds, sum up what they explain."""
    flipped = np.array([signs[at] * y for at, y in zip(given.prompt, given.returns, strict=True)])
    total = 0.0
    for number, x in enumerate(given.features):
        inside = given.fold == number
        gram = x[~inside].T @ x[~inside] + RIDGE * np.eye(x.shape[1])
        weights = np.linalg.inv(gram) @ x[~inside].T @ flipped[~inside]
        for row in np.flatnonzero(inside):
            predicted = x[row] @ weights
            total += flipped[row] ** 2 - (flipped[row] - predicted) ** 2
    return total


@pytest.mark.parametrize("seed", range(3))
def test_the_statistic_is_that_of_refitting_flipped_returns(seed: int):
    given = problem(seed, price=0.5)
    signs = next(draw_signs(6, N_PROMPTS, seed))
    slow = [slowly_explained(given, row) for row in signs]
    assert explained(given.parts, signs) == pytest.approx(np.array(slow))


def test_flipping_all_prompts_changes_nothing():
    parts = problem(0, price=1.0).parts
    signs = next(draw_signs(5, N_PROMPTS, 0))
    assert explained(parts, -signs) == pytest.approx(explained(parts, signs))


def test_signs_are_drawn_evenly_in_blocks():
    blocks = list(draw_signs(5000, 7, 0))
    signs = np.concatenate(blocks)
    assert len(blocks) > 1
    assert signs.shape == (5000, 7)
    assert set(np.unique(signs)) == {-1.0, 1.0}
    assert np.abs(signs.mean(0)).max() < 0.06


def test_what_is_planted_is_beyond_chance():
    assert sign_flip_p(problem(1, price=1.0).parts, 999, 0) == 1 / 1000


def test_the_same_seed_gives_the_same_p():
    parts = problem(2, price=0.2).parts
    one, same, other = (sign_flip_p(parts, 999, seed) for seed in (0, 0, 1))
    assert one == same != other


def test_nothing_to_flip_is_no_evidence():
    assert sign_flip_p([], 999, 0) == 1.0
    empty = [
        FoldSums.of(np.empty((10, 0)), np.ones(10), np.arange(10) // 2, np.arange(10) < at)
        for at in (4, 6)
    ]
    assert sign_flip_p(empty, 999, 0) == 1.0


def test_without_an_objective_p_is_uniform():
    """Features chosen without a look at the returns."""
    p = np.array([sign_flip_p(problem(seed).parts, 199, seed) for seed in range(300)])
    for level in (0.05, 0.1, 0.25, 0.5, 0.75):
        slack = 3 * np.sqrt(level * (1 - level) / len(p))
        assert (p <= level).mean() == pytest.approx(level, abs=slack + 0.005)
