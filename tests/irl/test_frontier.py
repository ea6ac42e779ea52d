"""The frontier of reward over KL: closed forms, and nothing lies above it."""

import numpy as np
import pytest

from irl.errors import InputError
from irl.rlhf.frontier import frontier


def test_two_answers_have_a_closed_form():
    """R is 0 or 1: at probability p of the better one, KL = ln 2 + p ln p + (1 - p) ln(1 - p)."""
    found = frontier([np.array([0.0, 1.0])])
    for p in (0.6, 0.75, 0.95):
        kl = np.log(2) + p * np.log(p) + (1 - p) * np.log(1 - p)
        assert found.at(kl) == pytest.approx(p - 0.5, abs=2e-3)
    assert found.at(0.0) == 0


@pytest.mark.slow
def test_normal_rewards_gain_the_root_of_twice_the_kl():
    """exp tilting of N(0, 1) by 1 / lambda moves the mean by 1 / lambda at KL 1 / (2 lambda^2)."""
    reward = np.random.default_rng(0).normal(size=200_000)
    found = frontier([reward])
    for kl in (0.1, 0.5, 1.0, 2.0):
        assert found.at(kl) == pytest.approx(np.sqrt(2 * kl), rel=0.02)


def test_no_reweighting_lies_above_it():
    generator = np.random.default_rng(1)
    reward = [generator.normal(size=12) for _ in range(5)]
    found = frontier(reward)
    for _ in range(200):
        weights = [generator.dirichlet(np.full(12, generator.uniform(0.3, 5))) for _ in reward]
        kl = np.mean([w[w > 0] @ np.log(12 * w[w > 0]) for w in weights])
        gain = np.mean([w @ r - r.mean() for w, r in zip(weights, reward, strict=True)])
        assert gain <= found.at(float(kl)) + 1e-3


def test_it_does_not_know_a_constant_of_the_prompt():
    generator = np.random.default_rng(2)
    reward = [generator.normal(size=9) for _ in range(3)]
    moved = [values + 10 * at for at, values in enumerate(reward)]
    assert frontier(moved).at(0.7) == pytest.approx(frontier(reward).at(0.7))


def test_where_the_best_answers_are_many_more_kl_brings_no_more():
    found = frontier([np.array([0.0] * 10 + [1.0] * 10)])
    assert found.at(5.0) == pytest.approx(0.5)


def test_what_the_answers_do_not_tell_is_refused():
    with pytest.raises(InputError, match="no two answers"):
        frontier([np.ones(4)])
    with pytest.raises(InputError, match="draw more"):
        frontier([np.array([0.0, 1.0])]).at(1.0)


def test_the_share_is_told_only_where_the_answers_reach():
    bound = frontier([np.random.default_rng(0).normal(size=4000)])
    assert bound.share(bound.at(1.0) / 2, 1.0) == pytest.approx(0.5)
    for kl in (-0.1, 0.0, 50.0):
        assert bound.share(1.0, kl) is None
