"""Losses against brute force, and at the optimum that theory names."""

from collections.abc import Callable
from itertools import combinations, product
from math import exp, log

import pytest
import torch
from torch import Tensor

from irl.losses import (
    Losses,
    Sides,
    absolute,
    bradley_terry,
    candidates,
    conditional,
    effective_share,
    generalised,
    log_partition,
    log_ratio,
    margin,
    max_entropy,
    pooled,
)

WITHOUT_TARGETS = [
    bradley_terry,
    candidates,
    max_entropy,
    conditional,
    absolute,
    generalised,
    margin,
]
# Counts of three answers among four draws of either policy: exact multiplicities, so that means
# over the draws are expectations.
ALIGNED, REFERENCE = torch.tensor([0, 1, 2, 2]), torch.tensor([0, 0, 1, 2])
LOG_RATIO = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64).log()


def ragged(seed: int = 0) -> Sides:
    """Two members; two prompts with 3 and 2 answers of the one, 2 and 4 of the other policy."""
    generator = torch.Generator().manual_seed(seed)
    ours = torch.tensor([[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]])
    theirs = torch.tensor([[1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]])
    aligned = torch.randn(2, 2, 3, generator=generator, dtype=torch.float64)
    reference = torch.randn(2, 2, 4, generator=generator, dtype=torch.float64)
    return Sides(aligned, reference, ours, theirs)


def answers(sides: Sides, member: int, prompt: int) -> tuple[list[float], list[float]]:
    return (
        sides.aligned[member, prompt][sides.ours[prompt] > 0].tolist(),
        sides.reference[member, prompt][sides.theirs[prompt] > 0].tolist(),
    )


def surprise_of_the_split(a: list[float], b: list[float]) -> float:
    """Of all ways to give len(a) of the answers to the aligned policy, how likely is this one?"""
    ways = sum(exp(sum(some)) for some in combinations([*a, *b], len(a)))
    return log(ways) - sum(a)


def slow(name: str, a: list[float], b: list[float]) -> float:
    """The formulas of the docstring, answer by answer."""
    margins = torch.tensor([x - y for x, y in product(a, b)], dtype=torch.float64)
    wins = torch.sigmoid(margins)
    ours, theirs = torch.tensor(a), torch.tensor(b)
    each = {
        "conditional": torch.tensor(surprise_of_the_split(a, b) / len(a)),
        "bradley_terry": -wins.log(),
        "absolute": 1 - wins,
        "generalised": (1 - wins**0.7) / 0.7,
        "margin": -torch.where(margins > 0, margins, 2 * margins),
        "max_entropy": theirs.exp().mean().log() - ours,
        "candidates": -(ours.exp() / (ours.exp() + theirs.exp().sum())).log(),
    }
    return float(each[name].mean())


@pytest.mark.parametrize("loss", WITHOUT_TARGETS, ids=lambda loss: loss.__name__)
def test_a_loss_is_what_its_formula_says_of_what_is_there(loss: Callable[[Sides], Losses]):
    sides = ragged()
    found = loss(sides)
    for member, prompt in product(range(2), range(2)):
        expected = slow(loss.__name__, *answers(sides, member, prompt))
        assert float(found[member, prompt]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("loss", WITHOUT_TARGETS, ids=lambda loss: loss.__name__)
def test_a_constant_of_the_prompt_changes_no_loss(loss: Callable[[Sides], Losses]):
    sides = ragged()
    constant = torch.tensor([3.0, -7.0])[:, None]
    moved = Sides(sides.aligned + constant, sides.reference + constant, sides.ours, sides.theirs)
    assert torch.allclose(loss(sides), loss(moved))


def test_the_squared_distance_to_log_ratios_is_their_variance_within_prompts():
    scores, wanted = ragged(0), ragged(1)
    found = log_ratio(scores, wanted)
    for member, prompt in product(range(2), range(2)):
        off = [
            x - y
            for mine, given in zip(
                answers(scores, member, prompt), answers(wanted, member, prompt), strict=True
            )
            for x, y in zip(mine, given, strict=True)
        ]
        variance = torch.tensor(off, dtype=torch.float64).var(unbiased=False)
        assert torch.isclose(found[member, prompt], variance)
    constant = Sides(wanted.aligned + 5, wanted.reference + 5, wanted.ours, wanted.theirs)
    assert torch.allclose(log_ratio(constant, wanted), torch.zeros(2, 2, dtype=torch.float64))


def gradient(
    loss: Callable[[Sides], Losses], reward: Tensor, ours: Tensor, theirs: Tensor
) -> Tensor:
    """Of the mean loss in the rewards of the three answers; draws [prompt, place]."""
    free = reward.clone().requires_grad_()
    there = [torch.ones_like(draws, dtype=torch.float64) for draws in (ours, theirs)]
    loss(Sides(free[ours][None], free[theirs][None], *there)).mean().backward()
    assert free.grad is not None
    return free.grad


@pytest.mark.parametrize("loss", [bradley_terry, max_entropy], ids=lambda loss: loss.__name__)
def test_with_exact_expectations_the_optimum_is_the_log_ratio(loss: Callable[[Sides], Losses]):
    at_optimum = gradient(loss, LOG_RATIO + 4.0, ALIGNED[None], REFERENCE[None])
    assert at_optimum.abs().max() < 1e-9
    elsewhere = gradient(loss, LOG_RATIO * 0.8, ALIGNED[None], REFERENCE[None])
    assert elsewhere.abs().max() > 1e-3


def test_with_any_number_of_candidates_the_optimum_is_the_log_ratio():
    draws = list(product(ALIGNED.tolist(), REFERENCE.tolist(), REFERENCE.tolist()))
    ours = torch.tensor([[a] for a, _, _ in draws])
    theirs = torch.tensor([[one, other] for _, one, other in draws])
    assert gradient(candidates, LOG_RATIO - 1.0, ours, theirs).abs().max() < 1e-12
    assert gradient(candidates, LOG_RATIO * 0.8, ours, theirs).abs().max() > 1e-3


def test_with_log_ratios_both_policies_answers_estimate_the_partition():
    """Exact where the draws are exact multiplicities, and far less noisy where they are few."""
    reward = LOG_RATIO + 0.7 * torch.tensor([1.0, -1.0, 0.5], dtype=torch.float64)
    weights = torch.ones(1, 4, dtype=torch.float64)

    def sides(of: Tensor, ours: Tensor, theirs: Tensor) -> Sides:
        return Sides(of[ours][None, None], of[theirs][None, None], weights, weights)

    exact = sides(reward, ALIGNED, REFERENCE)
    both = pooled(exact, sides(LOG_RATIO, ALIGNED, REFERENCE))
    assert torch.isclose(both, log_partition(exact)).all()

    steep = torch.tensor([0.0, 0.0, 6.0], dtype=torch.float64)
    shares = torch.tensor([0.5, 0.49, 0.01], dtype=torch.float64)
    tilted = (shares.log() + steep).softmax(0)
    ratio, true = (tilted / shares).log(), (shares * steep.exp()).sum().log()
    generator = torch.Generator().manual_seed(0)
    plain, mixed = [], []
    for _ in range(400):
        ours, theirs = (
            torch.multinomial(share, 4, replacement=True, generator=generator)
            for share in (tilted, shares)
        )
        given = sides(steep, ours, theirs)
        plain.append(log_partition(given) - true)
        mixed.append(pooled(given, sides(ratio, ours, theirs)) - true)
    assert torch.stack(mixed).square().mean() < 0.1 * torch.stack(plain).square().mean()
    assert torch.stack(mixed).mean().abs() < 0.1


def test_the_gradient_of_max_entropy_weighs_the_references_answers_by_softmax():
    reward = torch.tensor([0.3, -1.0, 2.0], dtype=torch.float64)
    weights = reward[REFERENCE].softmax(0)
    expected = torch.zeros(3, dtype=torch.float64)
    expected.index_add_(0, REFERENCE, weights)
    expected.index_add_(0, ALIGNED, torch.full((4,), -0.25, dtype=torch.float64))
    found = gradient(max_entropy, reward, ALIGNED[None], REFERENCE[None])
    assert torch.allclose(found, expected)


def test_with_one_answer_of_each_the_conditional_likelihood_is_that_of_a_pair():
    generator = torch.Generator().manual_seed(0)
    rewards = [5 * torch.randn(2, 3, 1, generator=generator) for _ in range(2)]
    pair = Sides(*rewards, torch.ones(3, 1), torch.ones(3, 1))
    assert torch.allclose(conditional(pair), bradley_terry(pair))


def test_no_answer_pulls_a_conditional_likelihood_harder_than_its_share():
    """The gradient: how likely each answer is the aligned policy's, over n_A."""
    reward = torch.tensor([0.3, -1.0, 9.0], dtype=torch.float64)
    every = torch.cat([ALIGNED, REFERENCE])
    splits = list(combinations(range(8), 4))
    weights = torch.stack([reward[every[list(some)]].sum() for some in splits]).softmax(0)
    likely = torch.zeros(8, dtype=torch.float64)
    for some, weight in zip(splits, weights, strict=True):
        likely[list(some)] += weight
    expected = torch.zeros(3, dtype=torch.float64).index_add_(0, every, likely / 4)
    expected.index_add_(0, ALIGNED, torch.full((4,), -0.25, dtype=torch.float64))
    found = gradient(conditional, reward, ALIGNED[None], REFERENCE[None])
    assert torch.allclose(found, expected)


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 2, 4])
def test_however_few_answers_there_are_the_conditional_optimum_is_the_log_ratio(n: int):
    """Exactly: all n answers of either policy, each as often as it is drawn."""
    draws = list(
        product(product(ALIGNED.tolist(), repeat=n), product(REFERENCE.tolist(), repeat=n))
    )
    ours, theirs = (torch.tensor([one[side] for one in draws]) for side in (0, 1))
    assert gradient(conditional, LOG_RATIO - 1.0, ours, theirs).abs().max() < 1e-12
    assert gradient(conditional, LOG_RATIO * 0.8, ours, theirs).abs().max() > 1e-3


def test_a_conditional_likelihood_of_steep_rewards_stays_finite():
    sides = ragged()
    steep = Sides(300 * sides.aligned, 300 * sides.reference, sides.ours, sides.theirs)
    assert conditional(steep).isfinite().all()


@pytest.mark.parametrize("loss", [absolute, generalised], ids=lambda loss: loss.__name__)
def test_one_wrong_label_pulls_a_robust_loss_no_harder_the_surer_the_reward(
    loss: Callable[[Sides], Losses],
):
    def pull(of: Callable[[Sides], Losses], sure: float) -> float:
        reward = torch.tensor(
            [-sure, sure], dtype=torch.float64
        )  # the worse one is labelled better
        return float(gradient(of, reward, torch.tensor([[0]]), torch.tensor([[1]])).abs().max())

    assert pull(loss, 20.0) < pull(loss, 0.0)
    assert pull(bradley_terry, 20.0) == pytest.approx(1.0)


def test_between_its_ends_the_generalised_loss_is_the_others():
    sides = ragged()
    assert torch.allclose(generalised(sides, q=1.0), absolute(sides))
    assert torch.allclose(generalised(sides, q=1e-7), bradley_terry(sides), atol=1e-5)


@pytest.mark.parametrize(
    "loss", [one for one in WITHOUT_TARGETS if one is not conditional], ids=lambda one: one.__name__
)
def test_a_weight_of_two_is_the_same_answer_twice(loss: Callable[[Sides], Losses]):
    aligned, reference = torch.randn(2, 1, 1, 3, generator=torch.Generator().manual_seed(1))
    one = torch.ones(1, 3)
    heavy = Sides(
        aligned, reference, torch.tensor([[2.0, 1.0, 1.0]]), torch.tensor([[1.0, 3.0, 1.0]])
    )
    twice = Sides(
        aligned[..., [0, 0, 1, 2]],
        reference[..., [0, 1, 1, 1, 2]],
        one[:, [0] * 4],
        one[:, [0] * 5],
    )
    assert torch.allclose(loss(heavy), loss(twice))
    assert torch.allclose(effective_share(heavy), effective_share(twice))


def test_margins_alone_have_no_scale():
    sides = ragged()
    double = Sides(2 * sides.aligned, 2 * sides.reference, sides.ours, sides.theirs)
    assert torch.allclose(margin(double), 2 * margin(sides))


def test_the_effective_share_is_one_for_no_reward_and_one_answer_for_a_steep_one():
    sides = ragged()
    flat = Sides(sides.aligned, torch.zeros_like(sides.reference), sides.ours, sides.theirs)
    assert torch.allclose(effective_share(flat), torch.ones(2, 2, dtype=torch.float64))
    steep = Sides(sides.aligned, 1e3 * sides.reference, sides.ours, sides.theirs)
    one_answer = torch.tensor([1 / 2, 1 / 4], dtype=torch.float64).expand(2, 2)
    assert torch.allclose(effective_share(steep), one_answer)
