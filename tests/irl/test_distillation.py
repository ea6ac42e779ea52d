"""What a student learns: the losses' optima in closed form."""

import copy

import pytest
import torch

from irl.policies.policy import Policy
from irl.policies.template import encode_prompt
from irl.rlhf.distillation import (
    Schedule,
    advantage_loss,
    answers_loss,
    from_advantage,
    from_answers,
    from_probabilities,
    learn,
    probabilities_loss,
)
from irl.tensors import TokenSequence, right_padded
from tests import fakes


def drawn(seed: int) -> torch.Tensor:
    """Log-probabilities in seven states."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(7, 30, generator=generator, dtype=torch.float64).log_softmax(-1)


def kl(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    return (first.exp() * (first - second)).sum(1)


@pytest.mark.parametrize("strength", [0.5, 1.0, 2.0])
def test_the_advantages_optimum_is_the_start_tilted_by_it(strength: float):
    start, advantage, own = drawn(0), drawn(1) - drawn(2), drawn(3)
    tilted = start + strength * advantage
    best = tilted.log_softmax(-1)
    least = -tilted.logsumexp(-1)
    torch.testing.assert_close(advantage_loss(best, start, advantage, strength), least)
    above = advantage_loss(own, start, advantage, strength) - least
    torch.testing.assert_close(above, kl(own, best))


def test_a_constant_of_the_state_moves_no_optimum():
    start, advantage, own = drawn(0), drawn(1) - drawn(2), drawn(3).requires_grad_()
    shift = torch.arange(7, dtype=torch.float64)[:, None]
    plain, shifted = (
        advantage_loss(own.log_softmax(-1), start, paid, 1.0).sum()
        for paid in (advantage, advantage + shift)
    )
    one, other = (torch.autograd.grad(loss, own)[0] for loss in (plain, shifted))
    torch.testing.assert_close(one, other)


def test_where_there_is_no_advantage_the_start_is_the_optimum():
    logits = drawn(0).requires_grad_()
    loss = advantage_loss(logits.log_softmax(-1), drawn(0), torch.zeros(7, 30), 1.0).sum()
    assert float(loss.detach()) == pytest.approx(0, abs=1e-12)
    assert torch.autograd.grad(loss, logits)[0].abs().max() < 1e-12


def test_probabilities_are_learnt_by_the_forward_kl():
    own, taught = drawn(0), drawn(1)
    torch.testing.assert_close(probabilities_loss(own, taught), kl(taught, own))
    assert probabilities_loss(taught, taught).abs().max() < 1e-12


def test_answers_cost_their_nats():
    own, taken = drawn(0), torch.tensor([0, 3, 29, 1, 1, 5, 9])
    expected = -torch.stack([row[at] for row, at in zip(own, taken.tolist(), strict=True)])
    torch.testing.assert_close(answers_loss(own, taken), expected)


# --- with models --------------------------------------------------------------------------------

SCHEDULE = Schedule(steps=1, seed=0, batch=3, max_new_tokens=6)


@pytest.fixture(scope="module")
def start() -> Policy:
    return fakes.policy(fakes.model())


def answers(policy: Policy) -> list[TokenSequence]:
    prompts = [encode_prompt(policy.tokenizer, text) for text in ("a cat", "no", "the dog sat")]
    return [TokenSequence(one, (9 + at, 20, 2)) for at, one in enumerate(prompts)]


@pytest.mark.slow
def test_the_loss_of_answers_is_what_they_score(start: Policy):
    said = answers(start)
    loss = from_answers(said, SCHEDULE)(start)
    nats = sum(float(one.sum()) for one in start.nats(said))
    assert float(loss.detach()) == pytest.approx(-nats / len(said), abs=1e-4)


@pytest.mark.slow
def test_a_student_that_is_the_teacher_has_nothing_to_learn(start: Policy):
    prompts = [one.prompt_ids for one in answers(start)]
    for lesson in (
        from_probabilities(start, answers(start), SCHEDULE),
        from_advantage(start, start, start, prompts, 1.0, SCHEDULE),
    ):
        assert float(lesson(start).detach()) == pytest.approx(0, abs=1e-5)


@pytest.mark.slow
def test_a_student_comes_to_the_optimum_and_less_so_without_the_reference(start: Policy):
    aligned = fakes.policy(fakes.nudged(start.model, 0.15, seed=3))
    reference = fakes.policy(fakes.nudged(start.model, 0.15, seed=4))
    prompts = [one.prompt_ids for one in answers(start)]
    batch = right_padded(answers(start), start.pad_id)
    by_policy = [_states(one, batch) for one in (start, aligned, reference)]
    best = (by_policy[0] + by_policy[1] - by_policy[2]).log_softmax(-1)
    schedule = Schedule(steps=40, seed=0, batch=24, learning_rate=3e-3, max_new_tokens=4)
    left = []
    for over in (reference, None):
        student = fakes.policy(copy.deepcopy(start.model))
        learn(student, from_advantage(start, aligned, over, prompts * 8, 1.0, schedule), schedule)
        left.append(float(kl(_states(student, batch), best).mean()))
    before = float(kl(by_policy[0], best).mean())
    assert left[0] < 0.5 * before
    assert left[0] < left[1]


@torch.no_grad()
def _states(policy: Policy, batch: object) -> torch.Tensor:
    logits = policy.model(input_ids=batch.ids, attention_mask=batch.attention.long()).logits
    return logits[batch.predicts_response].float().log_softmax(-1)
