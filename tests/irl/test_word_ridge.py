"""Exact ridge on words: planted weights come back, and noise asks for a larger penalty."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from irl.recovery.word_ridge import ridge_weights

RNG = np.random.default_rng(0)
COUNTS = RNG.poisson(0.5, (400, 6)).astype(float)
GROUP = np.arange(400) // 8
WEIGHTS = np.array([-3.0, 2.0, 0.0, 0.5, -0.5, 1.0])


def test_weights_come_back_where_nothing_is_noisy():
    found = ridge_weights(csr_matrix(COUNTS), COUNTS @ WEIGHTS + 9, GROUP, [1e-6, 10.0], [0, 1])
    assert found == pytest.approx(np.stack([WEIGHTS] * 2), abs=1e-4)


def test_it_is_the_normal_equation_of_the_groups_that_are_left():
    y = COUNTS @ WEIGHTS + RNG.normal(size=400)
    (found,) = ridge_weights(csr_matrix(COUNTS), y, GROUP, [5.0], [3], share=0.5)
    (again,) = ridge_weights(csr_matrix(COUNTS), y, GROUP, [5.0], [3], share=0.5)
    assert (found == again).all()
    from irl.recovery.fit import hold_out

    kept = ~hold_out(50, 0.5, 3).numpy()[GROUP]
    x = COUNTS[kept] - COUNTS[kept].mean(0)
    exact = np.linalg.solve(x.T @ x + 5.0 * np.eye(6), x.T @ y[kept])
    assert found == pytest.approx(exact, abs=1e-3)


def test_noise_chooses_the_larger_penalty():
    y, many = RNG.normal(size=400), csr_matrix(RNG.poisson(0.5, (400, 150)).astype(float))
    small, large = (ridge_weights(many, y, GROUP, [penalty], [0]) for penalty in (1e-3, 1e4))
    (chosen,) = ridge_weights(many, y, GROUP, [1e-3, 1e4], [0])
    assert chosen == pytest.approx(large[0])
    assert np.abs(large).max() < np.abs(small).max()
