"""Choices of prompts against what must be: no method beats the oracle, and random loses a mean."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from irl.evaluation.outcome_figures import calibration_error, outcome_figures
from irl.evaluation.prompt_choice import (
    METHODS,
    NEAREST,
    ORACLE,
    RANDOM,
    SINGLE,
    best_single,
    choice_figures,
    nearest,
    out_of_fold,
    picks,
    regret,
)
from irl.losses import Sides, bradley_terry
from irl.recovery.outcomes import outcome_loss


def table(seed: int, queries: int = 40, prompts: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).random((queries, prompts))


def chosen(outcomes: np.ndarray, seed: int = 0) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    scores, features = generator.random(outcomes.shape), generator.random((len(outcomes), 3))
    return dict(out_of_fold(scores, outcomes, features, np.arange(len(outcomes)) % 5).shares)


@given(st.integers(0, 10_000), st.integers(2, 6))
def test_nothing_beats_the_oracle_and_random_loses_a_mean(seed: int, prompts: int):
    outcomes = table(seed, prompts=prompts).round(1)  # with ties
    shares = chosen(outcomes, seed)
    assert set(shares) == set(METHODS)
    lost = {name: regret(outcomes, one) for name, one in shares.items()}
    for name, values in lost.items():
        assert shares[name].sum(1) == pytest.approx(1), name
        assert (values >= 0).all(), name
    assert lost[ORACLE] == pytest.approx(0)
    closed = (outcomes.max(1, keepdims=True) - outcomes).mean(1)
    assert lost[RANDOM] == pytest.approx(closed)


def test_where_all_prompts_are_equal_nothing_can_be_lost():
    outcomes = np.repeat(table(1)[:, :1], 5, axis=1)
    assert all(regret(outcomes, one) == pytest.approx(0) for one in chosen(outcomes).values())


def test_without_interaction_the_best_single_prompt_is_the_oracle():
    generator = np.random.default_rng(2)
    outcomes = generator.random((30, 1)) / 2 + np.array([0.1, 0.4, 0.2, 0.3])
    shares = chosen(outcomes)
    assert shares[SINGLE] == pytest.approx(shares[ORACLE])


def test_with_interaction_alone_one_prompt_is_worth_no_more_than_any():
    outcomes = np.tile(np.eye(4), (10, 1))
    assert regret(outcomes, chosen(outcomes)[SINGLE]).mean() == pytest.approx(0.75)


def test_the_nearest_query_knows_its_class():
    outcomes = np.tile(np.eye(4), (10, 1))
    features = np.tile(np.eye(4), (10, 1))
    fold = np.arange(40) // 8
    shares = out_of_fold(np.zeros((40, 4)), outcomes, features, fold).shares
    assert regret(outcomes, shares[NEAREST]) == pytest.approx(0)


def test_what_is_judged_is_never_looked_at():
    outcomes, features = table(3), np.random.default_rng(4).random((40, 3))
    inside = np.arange(40) < 8
    changed = np.where(inside[:, None], 1 - outcomes, outcomes)
    for find in (
        lambda given: best_single(given, ~inside),
        lambda given: nearest(features, given, ~inside),
    ):
        assert find(outcomes) == pytest.approx(find(changed))


@given(st.permutations(range(12)), st.permutations(range(4)))
def test_the_order_of_queries_and_prompts_has_no_say(rows: Sequence[int], columns: Sequence[int]):
    generator = np.random.default_rng(5)
    outcomes = generator.integers(0, 2, (12, 4)).astype(float)
    scores = generator.integers(0, 3, (12, 4)).astype(float)
    features, fold = generator.integers(0, 2, (12, 3)).astype(float), np.arange(12) % 3
    at = np.ix_(list(rows), list(columns))
    first = out_of_fold(scores, outcomes, features, fold)
    other = out_of_fold(scores[at], outcomes[at], features[list(rows)], fold[list(rows)])
    for name in METHODS:
        lost = regret(outcomes, first.shares[name])[list(rows)]
        assert regret(outcomes[at], other.shares[name]) == pytest.approx(lost), name


def test_prompts_that_were_not_tried_are_not_picked_and_leave_regret_unknown():
    outcomes = np.array([[0.2, np.nan, 0.1], [0.3, 0.9, 0.4], [np.nan, np.nan, np.nan]])
    shares = picks(outcomes)
    assert shares[:2].tolist() == [[1, 0, 0], [0, 1, 0]]
    assert np.isnan(shares[2]).all()
    lost = regret(outcomes, np.full((3, 3), 1 / 3))
    assert np.isfinite(lost).tolist() == [False, True, False]


@pytest.mark.slow
def test_outcomes_of_trials_at_random_are_those_of_all_on_average():
    """Replay: what was tried by chance stands for what was not."""
    whole = np.tile(np.array([0.9, 0.3, 0.3, 0.3]), (4000, 1))
    tried = np.random.default_rng(6).permuted(np.tile([1, 1, 0, 0], (4000, 1)), axis=1) > 0
    outcomes = np.where(tried, whole, np.nan)
    fold = np.arange(4000) % 5
    best = out_of_fold(whole, outcomes, np.ones((4000, 1)), fold)
    found = {one.method: one for one in choice_figures(best, best, outcomes, 0)}
    assert found["head"].regret is None
    assert found["head"].outcome is not None
    assert found["head"].outcome.value == pytest.approx(0.9)
    assert found[RANDOM].outcome is not None
    assert found[RANDOM].outcome.value == pytest.approx(0.45, abs=0.01)


def test_a_constant_per_prompt_is_free_in_comparisons_and_decides_the_choice():
    """Why rewards that were fitted within prompts are refused."""
    generator = torch.Generator().manual_seed(0)
    ours, theirs = (torch.randn(1, 4, 3, generator=generator) for _ in range(2))
    weights = torch.ones(4, 3)
    constant = torch.tensor([3.0, -1.0, 0.5, 2.0])[None, :, None]  # of each of four prompts

    def loss(shift: torch.Tensor) -> torch.Tensor:
        return bradley_terry(Sides(ours + shift, theirs + shift, weights, weights))

    torch.testing.assert_close(loss(constant), loss(torch.zeros(1, 4, 1)))
    means = torch.cat([ours, theirs], 2).mean(2).double().numpy()
    favoured = [picks(means + 10 * np.eye(4)[[prompt]]).argmax() for prompt in range(4)]
    assert favoured == [0, 1, 2, 3], "any prompt can be made the best one"
    trials = Sides(ours[..., :1], ours[..., :1], weights[:, :1] * 0.3, weights[:, :1] * 0.7)
    moved = Sides(ours[..., :1] + constant, ours[..., :1] + constant, trials.ours, trials.theirs)
    assert not torch.allclose(outcome_loss(None, trials), outcome_loss(None, moved)), (
        "outcomes leave no constant free"
    )


@pytest.mark.slow
def test_probabilities_that_come_true_are_calibrated_and_others_are_not():
    generator = np.random.default_rng(7)
    p = generator.random(20_000)
    outcome = (generator.random(20_000) < p).astype(float)
    cluster = np.arange(20_000) // 4
    good = calibration_error(p, outcome, cluster)
    assert good is not None
    assert good.value < 0.02
    sure = calibration_error(np.where(p > 0.5, 0.99, 0.01), outcome, cluster)
    assert sure is not None
    assert sure.value == pytest.approx(0.24, abs=0.02)
    found = outcome_figures(p, outcome, cluster)
    assert found.accuracy is not None
    assert found.accuracy.value == pytest.approx(0.75, abs=0.01)
    assert found.auc is not None
    assert found.auc.value == pytest.approx(5 / 6, abs=0.01), "the integral of 2 p (1 - (1 - p)^2)"


def test_a_head_that_knows_queries_alone_tells_no_prompts_apart():
    query = np.repeat(np.arange(50), 4)
    outcome = np.random.default_rng(8).integers(0, 2, 200).astype(float)
    found = outcome_figures(outcome.reshape(50, 4).mean(1)[query], outcome, query)
    assert found.auc is not None
    assert found.auc_within_queries is not None
    assert found.auc.value > 0.6
    assert found.auc_within_queries.value == 0.5
