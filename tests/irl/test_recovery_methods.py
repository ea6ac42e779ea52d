"""Every recovery method against the exact truth of a token MDP."""

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations

import pytest
import torch
from torch import Tensor

from irl.config import Learning
from irl.distances import centred, centred_distance, correlation
from irl.errors import InputError
from irl.organisms.token_world import BETA, answer_features, draw, every_answer
from irl.recovery import (
    adversarial,
    bradley_terry,
    failure_aware,
    max_entropy,
    max_margin,
    regression,
)
from irl.recovery.examples import Examples
from irl.recovery.fit import Fitted
from irl.rewards.heads import linear, mlp
from irl.token_mdp import TokenMDP, along, solve

pytestmark = pytest.mark.slow
CONSISTENT = {
    "log-ratio": regression.by_log_ratio,
    "bradley-terry": bradley_terry.by_pairs,
    "max-entropy": max_entropy.by_likelihood,
    "adversarial": adversarial.by_game,
}
METHODS = CONSISTENT | {
    "candidates": bradley_terry.by_candidates,
    "box": max_margin.by_box,
    "ball": max_margin.by_ball,
    "failure-aware": failure_aware.by_failures,
    "absolute": bradley_terry.by_absolute,
    "generalised": bradley_terry.by_generalised,
}
PROMPTS, VOCABULARY, HORIZON = 5, 4, 2
LEARNING = Learning(
    seeds=(0, 1), penalties=(0.0,), epochs=250, patience=999, prompts_per_step=8, learning_rate=0.05
)


@pytest.fixture(scope="module")
def mdp() -> TokenMDP:
    world = draw(0, PROMPTS, VOCABULARY, HORIZON)
    # Without the rule about the prompt, so that features of answers can express the reward.
    last = world.rewards[-1].clone()
    asked = torch.arange(PROMPTS)
    last[asked, :, asked % VOCABULARY] -= 1.0
    return TokenMDP(world.reference, (*world.rewards[:-1], last))


@pytest.fixture(scope="module")
def exact(mdp: TokenMDP) -> Examples:
    """All answers, as often as either policy gives them."""
    features = answer_features(mdp).expand(PROMPTS, -1, -1)
    return every_answer(mdp, solve(mdp, BETA).policy, features)


def distance(fitted: Fitted, mdp: TokenMDP) -> Tensor:
    """From the true reward, by the reference's distribution, for each member."""
    scores = fitted.head(answer_features(mdp)).detach().double()
    rows = scores.repeat(1, PROMPTS)
    prompt = torch.arange(PROMPTS).repeat_interleave(scores.shape[1])
    weights = along(mdp.reference).exp().flatten()
    return centred_distance(rows, mdp.returns.flatten().expand_as(rows), prompt, weights)


@pytest.mark.parametrize("name", CONSISTENT)
def test_with_exact_expectations_the_true_reward_is_recovered(
    name: str, mdp: TokenMDP, exact: Examples
):
    fitted = CONSISTENT[name](exact, linear, LEARNING)
    assert (distance(fitted, mdp) < 0.02).all()


@pytest.mark.parametrize("name", ["log-ratio", "bradley-terry", "max-entropy", "adversarial"])
def test_the_scale_is_one_over_beta(name: str, mdp: TokenMDP, exact: Examples):
    scores = CONSISTENT[name](exact, linear, LEARNING).head(answer_features(mdp)).detach().double()
    weights = along(mdp.reference).exp().flatten()
    prompt = torch.arange(PROMPTS).repeat_interleave(scores.shape[1])
    found = centred(scores.repeat(1, PROMPTS), prompt, weights)
    true = centred(mdp.returns.flatten(), prompt, weights)
    slope = (weights * found * true).sum(-1) / (weights * true * true).sum()
    assert torch.allclose(slope, torch.tensor(1 / BETA, dtype=torch.float64), rtol=0.05)


def test_max_entropy_finds_the_reward_and_its_scale_from_answers_alone(
    mdp: TokenMDP, exact: Examples
):
    bare = replace(exact, targets=None, log_policy=None)
    fitted = max_entropy.by_likelihood(bare, linear, LEARNING)
    assert (distance(fitted, mdp) < 0.02).all()
    with torch.no_grad():
        scores = fitted.head(exact.features)
    effective, answers = max_entropy.effective_answers(scores, exact)
    assert answers == VOCABULARY**HORIZON
    assert 1 < effective < answers


@pytest.mark.parametrize("name", METHODS)
def test_every_method_ranks_better_answers_higher(name: str, mdp: TokenMDP, exact: Examples):
    learning = LEARNING.model_copy(update={"epochs": 100})
    assert (distance(METHODS[name](exact, linear, learning), mdp) < 0.3).all()


def test_no_method_is_another_one_in_disguise(exact: Examples):
    learning = LEARNING.model_copy(update={"epochs": 60})
    scores = {name: fit(exact, linear, learning) for name, fit in METHODS.items()}
    found = {name: one.head(exact.features).detach()[0] for name, one in scores.items()}
    for one, two in combinations(found, 2):
        apart = centred_distance(found[one], found[two], exact.prompt, exact.weights)
        assert float(apart) > 1e-3, (one, two)


# What each method promises beside


@pytest.mark.parametrize(
    ("fit", "norm"),
    [
        (max_margin.by_box, lambda weights: weights.abs().amax((1, 2))),
        (max_margin.by_ball, lambda weights: weights.norm(dim=(1, 2))),
    ],
    ids=["box", "ball"],
)
def test_a_bounded_margin_stays_bounded_however_long_it_is_trained(
    fit: Callable[..., Fitted], norm: Callable[[Tensor], Tensor], exact: Examples
):
    """A released trainer of this field went from -55 to -4,779 in 30 epochs."""
    long = LEARNING.model_copy(update={"epochs": 200, "learning_rate": 0.1})
    fitted = fit(exact, linear, long)
    assert (norm(fitted.head.weights[0]) <= 1 + 1e-6).all()
    losses = fitted.validation[:, 1:]
    assert (losses[:, -1] - losses[:, 100]).abs().max() < 0.05 * losses[:, 100].abs().max()


def test_margins_without_a_known_bound_are_refused(exact: Examples):
    with pytest.raises(InputError, match="linear"):
        max_margin.by_box(exact, mlp(4), LEARNING)


def test_regression_without_both_policies_is_refused(exact: Examples):
    samples = Examples(exact.features, exact.prompt, exact.aligned)
    with pytest.raises(InputError, match="bradley-terry"):
        regression.by_log_ratio(samples, linear, LEARNING)


def test_the_generator_really_moves_to_the_aligned_policy(mdp: TokenMDP, exact: Examples):
    fitted = adversarial.by_game(exact, linear, LEARNING)
    reward, generator = (part(answer_features(mdp)).detach().double() for part in fitted.parts)
    start = along(mdp.reference)
    made = torch.log_softmax(start + generator[0], -1)
    best = along(solve(mdp, BETA).policy)

    def gap(policy: Tensor) -> float:
        return float((best.exp() * (best - policy)).sum(-1).mean())

    assert gap(made) < 0.05 * gap(start)
    prompt = torch.arange(PROMPTS).repeat_interleave(VOCABULARY**HORIZON)
    same = correlation(reward[0].repeat(PROMPTS), generator[0].repeat(PROMPTS), prompt)
    assert float(same) > 0.95


def test_reference_free_rewards_sum_to_the_log_probability_up_to_the_prompt():
    """The definition, token by token, on random logits; V is 0 at the end."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 9, generator=generator, dtype=torch.float64)
    tokens, alpha = torch.tensor([3, 1, 8, 0, 2]), 0.7
    value = torch.cat([alpha * torch.logsumexp(logits / alpha, -1), torch.zeros(1)])
    log_policy = torch.log_softmax(logits / alpha, -1)[torch.arange(5), tokens]
    each = alpha * log_policy + value[:-1] - value[1:]
    assert torch.isclose(each.sum(), alpha * log_policy.sum() + value[0])


def test_without_the_reference_its_taste_is_taken_for_reward(mdp: TokenMDP, exact: Examples):
    found = distance(regression.by_reference_free(exact, linear, LEARNING), mdp)
    assert (found > 0.1).all()
    bare = Examples(exact.features, exact.prompt, exact.aligned)
    with pytest.raises(InputError, match="bradley-terry"):
        regression.by_reference_free(bare, linear, LEARNING)


def test_members_that_are_too_large_to_go_together_dwell_on_their_own_failures(
    exact: Examples, monkeypatch: pytest.MonkeyPatch
):
    learning = LEARNING.model_copy(update={"epochs": 20, "penalties": (0.0, 0.01)})
    together = failure_aware.by_failures(exact, linear, learning)
    monkeypatch.setattr("irl.recovery.fit.LARGE", 0)
    apart = failure_aware.by_failures(exact, linear, learning)
    for ours, theirs in zip(together.head.parameters(), apart.head.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
    torch.testing.assert_close(together.validation, apart.validation, equal_nan=True)
