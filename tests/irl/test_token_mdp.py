"""The exact testbed against brute force and theory, float64."""

import numpy as np
import pytest
import torch
from torch import Tensor

from irl.token_mdp import (
    Levels,
    TokenMDP,
    along,
    expectation,
    frontier,
    kl_nats,
    shaped,
    solve,
    tokens_of,
)

PROMPTS, VOCABULARY, HORIZON, BETA = 3, 4, 4, 0.5


def levels(generator: torch.Generator) -> Levels:
    return tuple(
        torch.randn(PROMPTS, VOCABULARY**t, VOCABULARY, generator=generator, dtype=torch.float64)
        for t in range(HORIZON)
    )


def drawn(seed: int) -> TokenMDP:
    generator = torch.Generator().manual_seed(seed)
    reference = tuple(torch.log_softmax(level, -1) for level in levels(generator))
    return TokenMDP(reference, levels(generator))


def by_hand(of: Levels, prompt: int, response: Tensor) -> float:
    """The slow twin of `along`: walk one response token by token."""
    total, prefix = 0.0, 0
    for level, token in zip(of, response.tolist(), strict=True):
        total += float(level[prompt, prefix, token])
        prefix = prefix * VOCABULARY + token
    return total


def close(one: Tensor, other: Tensor, within: float = 1e-12) -> bool:
    return bool((one - other).abs().max() < within)


@pytest.fixture(params=range(3))
def mdp(request: pytest.FixtureRequest) -> TokenMDP:
    return drawn(request.param)


def test_sums_along_responses_are_those_of_a_walk(mdp: TokenMDP):
    responses = tokens_of(VOCABULARY, HORIZON)
    assert responses.shape == (VOCABULARY**HORIZON, HORIZON)
    for prompt in range(PROMPTS):
        for at in range(0, len(responses), 7):
            walked = by_hand(mdp.rewards, prompt, responses[at])
            assert float(mdp.returns[prompt, at]) == pytest.approx(walked, abs=1e-12)


def test_the_value_of_the_prompt_is_the_log_partition_over_all_responses(mdp: TokenMDP):
    at_once = torch.logsumexp(along(mdp.reference) + mdp.returns / BETA, -1)
    assert close(solve(mdp, BETA).values[0][:, 0], BETA * at_once)


def test_the_optimum_is_a_policy_at_every_prefix(mdp: TokenMDP):
    for level in solve(mdp, BETA).policy:
        assert close(torch.logsumexp(level, -1), torch.zeros(level.shape[:-1]))


def test_the_optimum_of_responses_is_the_tilted_reference(mdp: TokenMDP):
    tilted = torch.log_softmax(along(mdp.reference) + mdp.returns / BETA, -1)
    assert close(along(solve(mdp, BETA).policy), tilted)


def test_log_ratios_of_tokens_are_advantages_and_sum_to_the_return_less_the_value(mdp: TokenMDP):
    best = solve(mdp, BETA)
    for policy, reference, advantage in zip(
        best.policy, mdp.reference, best.advantages, strict=True
    ):
        assert close(BETA * (policy - reference), advantage)
    assert close(along(best.advantages), mdp.returns - best.values[0])


def test_rewards_that_differ_by_a_potential_have_the_same_optimum(mdp: TokenMDP):
    generator = torch.Generator().manual_seed(9)
    potentials = [
        torch.randn(PROMPTS, VOCABULARY**t, generator=generator, dtype=torch.float64)
        for t in range(HORIZON)
    ]
    other = TokenMDP(mdp.reference, shaped(mdp.rewards, potentials))
    assert close(other.returns, mdp.returns - potentials[0])
    for one, two in zip(solve(mdp, BETA).policy, solve(other, BETA).policy, strict=True):
        assert close(one, two)


def test_scale_and_beta_are_known_only_together(mdp: TokenMDP):
    double = TokenMDP(mdp.reference, tuple(2 * level for level in mdp.rewards))
    for one, two in zip(solve(mdp, BETA).policy, solve(double, 2 * BETA).policy, strict=True):
        assert close(one, two)


def test_no_policy_earns_more_after_its_kl_than_the_optimum(mdp: TokenMDP):
    def objective(policy: Levels) -> Tensor:
        return expectation(policy, mdp.returns) - BETA * kl_nats(policy, mdp.reference)

    best = solve(mdp, BETA)
    assert close(objective(best.policy), best.values[0][:, 0])
    generator = torch.Generator().manual_seed(5)
    for size in (0.01, 0.3, 3.0):
        moved = tuple(
            torch.log_softmax(level + size * change, -1)
            for level, change in zip(best.policy, levels(generator), strict=True)
        )
        assert (objective(moved) < best.values[0][:, 0]).all()


def test_along_the_frontier_reward_and_kl_fall_with_beta(mdp: TokenMDP):
    points = frontier(mdp, [0.1, 0.3, 1.0, 3.0, 1e6])
    assert np.all(np.diff([point.reward for point in points]) < 0)
    assert np.all(np.diff([point.kl_nats for point in points]) < 0)
    assert points[-1].kl_nats == pytest.approx(0, abs=1e-9)
    start = float(expectation(mdp.reference, mdp.returns).mean())
    assert points[-1].reward == pytest.approx(start, abs=1e-4)


def test_the_slope_of_the_frontier_is_beta(mdp: TokenMDP):
    """d reward / d KL = beta: what one more nat buys at the optimum."""
    low, high = frontier(mdp, [BETA * 1.001, BETA * 0.999])
    slope = (high.reward - low.reward) / (high.kl_nats - low.kl_nats)
    assert slope == pytest.approx(BETA, rel=1e-3)
