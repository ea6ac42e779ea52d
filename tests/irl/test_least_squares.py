"""Sparse within-prompt least squares against a dense twin."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.stats import false_discovery_control
from scipy.stats import t as student

from irl.recovery.least_squares import RIDGE, Design, significant, solve

Array = NDArray[np.float64]
TINY = 1e-9


@dataclass(frozen=True)
class Problem:
    counts: Array
    group: NDArray[np.int64]
    returns: Array

    @property
    def design(self) -> Design:
        return Design(csr_matrix(self.counts), self.group)


def problem(seed: int = 0, n_groups: int = 25, n_features: int = 6) -> Problem:
    """Counts that depend on the prompt, returns that depend on the counts and the prompt."""
    generator = np.random.default_rng(seed)
    group = np.repeat(np.arange(n_groups), generator.integers(2, 9, size=n_groups))
    rate = generator.gamma(1.0, size=(n_groups, n_features))
    counts = generator.poisson(rate[group]).astype(float)
    weights = np.linspace(-2, 2, n_features)
    noise = generator.normal(size=len(group)) * (1 + counts[:, 0])
    constant = 20 * generator.normal(size=n_groups)
    return Problem(counts, group, counts @ weights + constant[group] + noise)


def dense_centring(group: NDArray[np.int64]) -> Array:
    """The matrix that subtracts from each row the mean of its group."""
    same = (group[:, None] == group[None, :]).astype(float)
    return np.eye(len(group)) - same / same.sum(1)


def slow_solution(given: Problem, ridge: float) -> tuple[Array, Array]:
    """Weights, and errors of the jackknife: fitted once more without each group."""
    centring = dense_centring(given.group)
    x, y = centring @ given.counts, centring @ given.returns

    def fitted(rows: NDArray[np.bool_]) -> Array:
        gram = x[rows].T @ x[rows] + ridge * np.eye(x.shape[1])
        solved: Array = np.linalg.solve(gram, x[rows].T @ y[rows])
        return solved

    weights = fitted(np.ones(len(y), dtype=bool))
    numbers = np.unique(given.group)
    change = np.array([fitted(given.group != number) - weights for number in numbers])
    return weights, np.sqrt((change**2).sum(0) * (len(numbers) - 1) / len(numbers))


@pytest.mark.parametrize("seed", range(3))
def test_cross_products_are_those_of_centred_columns(seed: int):
    given = problem(seed)
    other = Design(csr_matrix(given.counts[:, ::-1][:, :4] ** 2), given.group)
    centring = dense_centring(given.group)
    expected = (centring @ given.counts).T @ (centring @ other.features.toarray())
    assert given.design.cross(other) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(3))
def test_squares_are_the_diagonal_of_the_cross_products(seed: int):
    design = problem(seed).design
    assert design.squares() == pytest.approx(np.diag(design.cross(design)))


def test_centring_is_that_of_the_matrix():
    given = problem()
    centring = dense_centring(given.group)
    assert given.design.centre(given.returns) == pytest.approx(centring @ given.returns)
    weights = np.arange(6.0)
    assert given.design.predict(weights) == pytest.approx(centring @ given.counts @ weights)


@pytest.mark.parametrize("seed", range(3))
def test_weights_are_ordinary_least_squares_on_centred_data(seed: int):
    given = problem(seed)
    centring = dense_centring(given.group)
    expected = np.linalg.lstsq(centring @ given.counts, centring @ given.returns)[0]
    assert solve(given.design, given.returns, ridge=TINY).weights == pytest.approx(expected)


@pytest.mark.parametrize("ridge", [RIDGE, 5.0])
@pytest.mark.parametrize("seed", range(3))
def test_weights_and_errors_are_those_of_the_dense_jackknife(seed: int, ridge: float):
    given = problem(seed)
    weights, errors = slow_solution(given, ridge)
    found = solve(given.design, given.returns, ridge)
    assert found.weights == pytest.approx(weights)
    assert found.standard_errors == pytest.approx(errors)


def test_residuals_are_centred_and_orthogonal_to_the_features():
    given = problem()
    found = solve(given.design, given.returns, ridge=TINY)
    assert given.design.centre(found.residuals) == pytest.approx(found.residuals)
    assert given.design.features.T @ found.residuals == pytest.approx(np.zeros(6), abs=1e-6)


def test_the_influence_is_what_leaving_a_group_out_does():
    given = problem(n_groups=700)
    found = solve(given.design, given.returns)
    assert found.influence.shape == (700, 6)
    for number in (0, 1, 350, 699):
        keep = given.group != number
        without = solve(given.design.rows(keep), given.returns[keep])
        assert found.influence[number] == pytest.approx(found.weights - without.weights, abs=1e-8)


def test_rows_of_a_group_need_not_stand_together():
    given = problem()
    order = np.random.default_rng(3).permutation(len(given.group))
    mixed = Problem(given.counts[order], given.group[order], given.returns[order])
    found = solve(mixed.design, mixed.returns)
    assert found.influence == pytest.approx(solve(given.design, given.returns).influence)


def test_a_feature_that_one_group_decides_is_not_certain():
    """The fit goes through that group, so the sandwich would see no error in it."""
    given = problem(n_groups=60)
    once = np.zeros(len(given.group))
    once[np.flatnonzero(given.group == 7)[0]] = 17
    returns = given.returns + 3 * once
    found = solve(Design(csr_matrix(np.column_stack([given.counts, once])), given.group), returns)
    assert found.weights[-1] == pytest.approx(3, abs=0.5)
    assert found.standard_errors[-1] > 2
    assert found.groups[-1] == pytest.approx(1)


def test_a_feature_counts_the_groups_that_carry_it():
    """Three groups alike, or one of them nine times as heavy: 11^2 / 83."""
    group = np.repeat(np.arange(5), 2)
    counts = np.zeros((10, 3))
    counts[[0, 2, 4], 0] = 1
    counts[[0, 2, 4], 1] = 3, 1, 1
    returns = np.arange(10.0)
    found = solve(Design(csr_matrix(counts), group), returns)
    assert found.groups == pytest.approx([3, 11**2 / 83, 0])
    assert not significant(np.array([1e6]), 0.05, 1, np.array([1.0])).any()


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(-1e4, 1e4), min_size=25, max_size=25))
def test_constants_of_the_prompts_change_nothing(constants: list[float]):
    given = problem()
    before = solve(given.design, given.returns)
    after = solve(given.design, given.returns + np.array(constants)[given.group])
    assert after.weights == pytest.approx(before.weights, abs=1e-7)
    assert after.standard_errors == pytest.approx(before.standard_errors, abs=1e-7)


def test_features_that_are_constant_in_every_prompt_get_no_weight():
    given = problem()
    counts = np.column_stack([given.counts, given.group])
    found = solve(Design(csr_matrix(counts), given.group), given.returns)
    assert found.weights[-1] == pytest.approx(0, abs=1e-6)


def test_features_that_always_go_together_share_their_weight():
    given = problem()
    twice = Design(csr_matrix(np.column_stack([given.counts, given.counts[:, 1]])), given.group)
    once, both = solve(given.design, given.returns), solve(twice, given.returns)
    assert both.weights[1] == pytest.approx(both.weights[-1])
    assert both.weights[1] + both.weights[-1] == pytest.approx(once.weights[1], abs=1e-3)


def test_without_features_the_residuals_are_the_centred_returns():
    given = problem()
    found = solve(given.design.columns(np.empty(0, dtype=int)), given.returns)
    assert len(found.weights) == 0
    assert found.residuals == pytest.approx(given.design.centre(given.returns))
    assert found.influence.shape == (25, 0)


def test_some_rows_keep_their_groups_apart():
    given = problem()
    keep = given.group % 3 == 1
    part = given.design.rows(keep)
    assert part.group.max() + 1 == len(np.unique(given.group[keep]))
    expected = dense_centring(given.group[keep]) @ given.counts[keep]
    assert part.cross(part) == pytest.approx(expected.T @ expected)


@pytest.mark.slow
def test_about_95_percent_of_the_intervals_cover_the_planted_weight():
    """Errors differ between groups and depend on the counts, as the sandwich allows."""
    truth, covered = np.linspace(-2, 2, 6), []
    for seed in range(200):
        given = problem(seed, n_groups=80)
        found = solve(given.design, given.returns)
        half = student.ppf(0.975, 79) * found.standard_errors
        covered.append(np.abs(found.weights - truth) <= half)
    assert np.mean(covered, axis=0) == pytest.approx(np.full(6, 0.95), abs=0.06)


@settings(deadline=None)
@given(
    st.lists(st.floats(-8, 8), min_size=1, max_size=30),
    st.sampled_from([0.01, 0.05, 0.2]),
    st.integers(2, 400),
)
def test_scores_are_kept_as_benjamini_and_hochberg_keep_them(
    scores: list[float], rate: float, groups: int
):
    z = np.array(scores)
    p = 2 * student.sf(np.abs(z), groups - 1)
    expected = false_discovery_control(p) <= rate * (1 + 1e-12)
    assert significant(z, rate, len(z), groups).tolist() == expected.tolist()


def test_scores_that_were_dropped_before_still_count_as_tried():
    z, dropped = np.array([4.0, 2.6, 0.3]), np.zeros(97)
    together = significant(np.concatenate([z, dropped]), 0.05, 100, 1000)
    assert significant(z, 0.05, 100, 1000).tolist() == together[:3].tolist() == [True, False, False]


def test_few_groups_need_larger_scores():
    z = np.array([4.0])
    assert significant(z, 0.01, 1, 200).all()
    assert not significant(z, 0.01, 1, 4).any()


def test_a_single_group_gives_no_evidence():
    assert not significant(np.array([1e12, np.inf]), 0.5, 2, 1).any()


def test_no_score_keeps_nothing():
    assert significant(np.empty(0), 0.1, 5, 10).tolist() == []
