"""Canonical forms of token rewards: blind to shaping and scale, and to nothing else."""

import math

import pytest
import torch
from torch import Tensor

from irl.canonical import by_steps, by_values, token_distance
from irl.distances import centred_distance
from irl.organisms.token_world import BETA, draw
from irl.token_mdp import along, shaped, solve

WORLD = draw(0)
POLICY = WORLD.reference
GENERATOR = torch.Generator().manual_seed(3)


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=GENERATOR, dtype=torch.float64)


def potentials() -> list[Tensor]:
    return [normal(*level.shape[:2]) for level in POLICY]


def test_values_are_blind_to_every_shaping():
    other = shaped(WORLD.rewards, potentials())
    for one, two in zip(by_values(WORLD.rewards, POLICY), by_values(other, POLICY), strict=True):
        assert torch.allclose(one, two, atol=1e-12)
    twice = tuple(2.5 * level for level in other)
    assert token_distance(WORLD.rewards, twice, POLICY) == pytest.approx(0, abs=1e-6)


def test_summed_over_a_response_they_are_its_return_less_what_the_prompt_is_worth():
    worth = (along(POLICY).exp() * WORLD.returns).sum(-1, keepdim=True)
    assert torch.allclose(along(by_values(WORLD.rewards, POLICY)), WORLD.returns - worth)


def test_the_tokens_of_the_optimum_lie_at_no_distance_from_the_reward():
    """beta log-ratio = Q - V is the reward under a shaping by V."""
    best = solve(WORLD, BETA)
    assert token_distance(best.advantages, WORLD.rewards, POLICY) == pytest.approx(0, abs=1e-6)


def test_opposite_rewards_are_one_apart_and_a_pure_shaping_has_no_direction():
    against = tuple(-level for level in WORLD.rewards)
    assert token_distance(WORLD.rewards, against, POLICY) == pytest.approx(1)
    nothing = shaped(tuple(torch.zeros_like(level) for level in WORLD.rewards), potentials())
    canonical = by_values(nothing, POLICY)
    assert max(float(level.abs().max()) for level in canonical) < 1e-12
    other = tuple(normal(*level.shape) for level in WORLD.rewards)
    assert 0.2 < token_distance(WORLD.rewards, other, POLICY) < 0.9


def test_of_one_token_the_distance_is_that_of_whole_responses():
    """The distance between responses weighs by the policy, as that between tokens does."""
    world = draw(1, prompts=5, vocabulary=7, horizon=1)
    other = (normal(5, 1, 7),)
    rows = torch.arange(5).repeat_interleave(7)
    weights = along(world.reference).exp().flatten()
    flat = centred_distance(world.returns.flatten(), other[0].flatten(), rows, weights)
    assert token_distance(world.rewards, other, world.reference) == pytest.approx(float(flat))


def test_steps_are_blind_to_shaping_that_does_not_look_two_tokens_on():
    """Potentials by depth alone; any other leaves E[phi(s a A)] - E[phi(s A A')] behind."""
    depths = [float(normal(1)) * torch.ones(level.shape[:2]).double() for level in POLICY]
    other = shaped(WORLD.rewards, depths)
    for one, two in zip(by_steps(WORLD.rewards, POLICY), by_steps(other, POLICY), strict=True):
        assert torch.allclose(one, two, atol=1e-12)
    assert not math.isclose(
        token_distance(WORLD.rewards, shaped(WORLD.rewards, potentials()), POLICY, by_steps),
        0.0,
        abs_tol=1e-3,
    )


def test_steps_leave_of_a_shaping_what_theory_says():
    phi = potentials()
    nothing = tuple(torch.zeros_like(level) for level in WORLD.rewards)
    first = by_steps(shaped(nothing, phi), POLICY)[0]
    ahead = (POLICY[1].exp() * phi[2].view_as(POLICY[1])).sum(-1).view_as(first)
    mean = (POLICY[0].exp() * ahead).sum(-1, keepdim=True)
    assert torch.allclose(first, ahead - mean, atol=1e-12)
