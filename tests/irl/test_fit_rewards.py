"""The training loop and its heads: closed forms, members on their own, prompts kept apart."""

import pytest
import torch
from torch import Tensor

from irl.config import Learning
from irl.errors import InputError
from irl.losses import Losses, Sides, bradley_terry, log_ratio
from irl.recovery.examples import Batch, Examples
from irl.recovery.fit import Aim, Fitted, fit, hold_out
from irl.rewards.heads import Form, Head, linear, mlp

LEARNING = Learning(seeds=(0, 1, 2), penalties=(1e-3,), epochs=40, prompts_per_step=8)
TRUTH = torch.tensor([1.5, -1.0, 0.5, 0.0])


def examples(seed: int = 0, n_prompts: int = 40, size: int = 6, noise: float = 0.1) -> Examples:
    """Answers with four features and log-ratios that are linear in them, up to the prompt."""
    generator = torch.Generator().manual_seed(seed)
    n = n_prompts * size
    prompt = torch.arange(n_prompts).repeat_interleave(size)
    features = torch.randn(n, 4, generator=generator)
    constant = 5 * torch.randn(n_prompts, generator=generator)
    targets = features @ TRUTH + constant[prompt] + noise * torch.randn(n, generator=generator)
    aligned = (torch.arange(n) % size) < size // 2
    order = torch.randperm(n, generator=generator)
    return Examples(features[order], prompt[order], aligned[order], targets[order])


def to_log_ratio(batch: Batch, scores: Sides) -> Losses:
    assert batch.wanted is not None
    return log_ratio(scores, batch.wanted)


def pairs(batch: Batch, scores: Sides) -> Losses:
    return bradley_terry(scores)


def weights(head: Head) -> Tensor:
    return head.weights[0].detach().squeeze(-1)


# Examples


def test_batches_hold_every_answer_of_their_prompts_once_and_by_side():
    generator = torch.Generator().manual_seed(3)
    prompt = torch.cat(
        [torch.arange(5), torch.arange(5), torch.randint(5, (30,), generator=generator)]
    )
    aligned = (
        torch.cat([torch.ones(5), torch.zeros(5), torch.rand(30, generator=generator).round()]) > 0
    )
    rows = torch.arange(40.0)
    batch = Examples(rows[:, None], prompt, aligned).batch(torch.tensor([3, 0]))
    sides = batch.sides(batch.features.T)
    for at, number in enumerate((3, 0)):
        ours = sides.aligned[0, at][sides.ours[at] > 0]
        theirs = sides.reference[0, at][sides.theirs[at] > 0]
        assert sorted(ours.tolist()) == rows[(prompt == number) & aligned].tolist()
        assert sorted(theirs.tolist()) == rows[(prompt == number) & ~aligned].tolist()


def test_a_prompt_that_only_one_policy_answered_is_refused():
    with pytest.raises(InputError, match="1 of 2 lack one"):
        Examples(torch.zeros(3, 1), torch.tensor([0, 0, 1]), torch.tensor([True, False, True]))


# Heads


@pytest.mark.parametrize("form", [linear, mlp(8), mlp(5, 5)])
def test_members_score_as_they_do_alone_and_rows_as_they_do_alone(form: Form):
    head = form(3, 4, torch.Generator().manual_seed(0))
    with torch.no_grad():
        for weight in head.parameters():
            weight.normal_(generator=torch.Generator().manual_seed(1))
    rows = torch.randn(7, 4, generator=torch.Generator().manual_seed(2))
    together = head(rows)
    assert together.shape == (3, 7)
    for member in range(3):
        alone = head.members_at(torch.tensor([member]))
        assert torch.allclose(alone(rows)[0], together[member], atol=1e-6)
        for at in range(7):
            assert torch.allclose(alone(rows[at : at + 1])[0, 0], together[member, at], atol=1e-6)


def test_a_network_is_the_formula_of_its_layers():
    head = mlp(3, 3)(2, 4, torch.Generator().manual_seed(0))
    with torch.no_grad():
        for weight in head.parameters():
            weight.normal_(generator=torch.Generator().manual_seed(1))
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(2))
    for member in range(2):
        first, second, last = (weight[member] for weight in head.weights)
        hidden = torch.relu(x @ first + head.biases[0][member])
        hidden = torch.relu(hidden @ second + head.biases[1][member])
        assert torch.allclose(head(x)[member], (hidden @ last).squeeze(-1), atol=1e-6)


# The loop


def ridge(data: Examples, fitted: Fitted, member: int, penalty: float) -> Tensor:
    """The closed form: mean over training prompts of within-prompt variances, plus the penalty."""
    assert data.targets is not None
    gram, pull, n = torch.zeros(4, 4), torch.zeros(4), 0
    for number in torch.nonzero(~fitted.held_out[member]).squeeze(1):
        rows = data.prompt == number
        x = data.features[rows] - data.features[rows].mean(0)
        y = data.targets[rows] - data.targets[rows].mean()
        gram, pull, n = gram + x.T @ x / len(x), pull + x.T @ y / len(x), n + 1
    return torch.linalg.solve(gram / n + penalty * torch.eye(4), pull / n)


@pytest.mark.slow
@pytest.mark.parametrize("penalty", [1e-4, 0.5])
def test_a_linear_fit_of_log_ratios_is_ridge_regression_on_its_own_prompts(penalty: float):
    """Gradients that pile up over steps, or that see other members, would end elsewhere."""
    data, last = examples(), Tensor()
    update = {"penalties": (penalty,), "epochs": 700, "patience": 700, "prompts_per_step": 40}

    def remember(head: Head) -> None:
        nonlocal last
        last = weights(head).clone()

    fitted = fit(
        data,
        linear,
        Aim(to_log_ratio, constraint=remember),
        LEARNING.model_copy(update=update),
    )
    expected = torch.stack([ridge(data, fitted, member, penalty) for member in range(3)])
    assert torch.allclose(last, expected, atol=2e-3)
    assert not torch.allclose(expected[0], expected[1], atol=1e-4)


def test_a_member_is_the_same_in_whatever_company_it_is_fitted():
    data = examples(noise=1.0)
    learning = LEARNING.model_copy(update={"penalties": (1e-3, 1e-1), "patience": 3})
    for form in (linear, mlp(6)):
        together = fit(data, form, Aim(pairs), learning)
        alone = fit(data, form, Aim(pairs), learning.model_copy(update={"seeds": (2,)}))
        for whole, part in zip(together.head.parameters(), alone.head.parameters(), strict=True):
            assert torch.allclose(whole[2:], part, atol=1e-5)
        assert together.epochs[2] == alone.epochs[0]
        assert together.penalties[2] == alone.penalties[0]


@pytest.mark.slow
def test_the_same_seeds_give_the_same_rewards():
    one, two = (fit(examples(), mlp(6), Aim(pairs), LEARNING) for _ in range(2))
    for first, second in zip(one.head.parameters(), two.head.parameters(), strict=True):
        assert torch.equal(first, second)


def test_every_member_ends_where_its_held_out_prompts_were_best():
    data = examples(noise=3.0)
    fitted = fit(data, mlp(16), Aim(pairs), LEARNING.model_copy(update={"learning_rate": 0.05}))
    batch = data.batch(torch.arange(40))
    losses = pairs(batch, batch.sides(fitted.head(batch.features))).detach()
    for member in range(3):
        mean = losses[member][fitted.held_out[member]].mean()
        assert torch.isclose(mean, fitted.validation[member].nan_to_num(torch.inf).min())


def test_held_out_prompts_are_never_learnt_from():
    data = examples()
    held_out = hold_out(40, 0.2, 0)
    assert int(held_out.sum()) == 8
    assert data.targets is not None
    other = torch.where(held_out[data.prompt], -data.targets, data.targets)
    changed = Examples(data.features, data.prompt, data.aligned, other)
    learning = LEARNING.model_copy(update={"seeds": (0,), "epochs": 5, "patience": 5})

    courses: list[list[Tensor]] = [[], []]
    for data_, course in zip((data, changed), courses, strict=True):

        def keep(head: Head, course: list[Tensor] = course) -> None:
            course.append(weights(head).clone())

        fit(data_, linear, Aim(to_log_ratio, constraint=keep), learning)
    assert torch.equal(torch.stack(courses[0]), torch.stack(courses[1]))


@pytest.mark.parametrize(("n", "share", "expected"), [(5, 0.01, 1), (5, 0.99, 4), (10, 0.3, 3)])
def test_some_prompts_are_held_out_and_some_are_not(n: int, share: float, expected: int):
    assert int(hold_out(n, share, 7).sum()) == expected


def test_a_constraint_holds_after_every_step():
    seen = []

    def into_box(head: Head) -> None:
        with torch.no_grad():
            head.weights[0].clamp_(-0.05, 0.05)
        seen.append(float(weights(head).abs().max()))

    fitted = fit(examples(), linear, Aim(pairs, constraint=into_box), LEARNING)
    assert max(seen) == pytest.approx(0.05)
    assert weights(fitted.head).abs().max() <= 0.05


def test_a_fit_can_go_on_from_another():
    data = examples()
    first = fit(data, linear, Aim(pairs), LEARNING.model_copy(update={"epochs": 3}))
    still = LEARNING.model_copy(update={"learning_rate": 1e-9, "epochs": 1})
    second = fit(data, linear, Aim(pairs), still, start=first.parts)
    assert torch.allclose(weights(second.head), weights(first.head), atol=1e-6)


def test_too_few_prompts_are_refused():
    with pytest.raises(InputError, match="at least 5"):
        fit(examples(n_prompts=4), linear, Aim(pairs), LEARNING)
