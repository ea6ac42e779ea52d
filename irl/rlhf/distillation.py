"""A small policy learns from an aligned one: from its answers, its probabilities, or its advantage.

With h a state (a prompt and the answer so far), s the student, s0 where it started, p the aligned
policy and r its reference, the loss of one state is

    answers         -ln s(a | h)                       where p answers: SFT
    probabilities   KL(p(. | h) || s(. | h))           where p answers: KD (1503.02531)
    advantage       sum_a s(a | h) [ln s(a | h) / s0(a | h) - strength A(h, a)]
                    where s answers itself, with A(h, a) = ln p(a | h) / r(a | h)

A is the optimal advantage of the recovered reward in nats, in which each reward's constant of the
prompt cancels. 2502.17927 adds sum_a s A to SFT; here the KL to the start stands in the place of
SFT, so that nothing but A is learned: at its optimum s ~ s0 exp(strength A) in every state. States
are held fixed while their loss is lowered, and drawn anew at every step.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from irl.config import Sampling
from irl.engine.local import draw_answers
from irl.policies.policy import Policy
from irl.policies.sample import Ids
from irl.tensors import TokenBatch, TokenSequence, right_padded

Row = TypeVar("Row")
LogProbabilities = Float[Tensor, "state token"]
Losses = Float[Tensor, " state"]
Lesson = Callable[[Policy], Tensor]
"The loss of a student at its next step, nats per answer"
_WARMUP = 0.1


@dataclass(frozen=True)
class Schedule:
    """How to learn."""

    steps: int
    seed: int
    batch: int = 64
    "answers per step"
    learning_rate: float = 2e-3
    max_new_tokens: int = 48


def learn(student: Policy, lesson: Lesson, schedule: Schedule) -> None:
    """Take the steps, in place: Adam, a short warm-up, then the rate falls as a cosine."""
    model = student.model.train()
    model.requires_grad_(True)
    optimizer = torch.optim.AdamW(
        model.parameters(), schedule.learning_rate, betas=(0.9, 0.98), weight_decay=0.0
    )
    rate = torch.optim.lr_scheduler.LambdaLR(optimizer, _rate_over(schedule.steps))
    for _ in range(schedule.steps):
        optimizer.zero_grad()
        lesson(student).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        rate.step()
    model.eval()


def from_answers(answers: Sequence[TokenSequence], schedule: Schedule) -> Lesson:
    """Supervised fine-tuning on the aligned policy's answers."""
    batches = _batches(answers, schedule)

    def loss(student: Policy) -> Tensor:
        batch = right_padded(next(batches), student.pad_id)
        return _per_answer(answers_loss(_states(student, batch), batch.targets), batch)

    return loss


def from_probabilities(
    aligned: Policy, answers: Sequence[TokenSequence], schedule: Schedule
) -> Lesson:
    """Its whole distribution at every token of its answers."""
    batches = _batches(answers, schedule)

    def loss(student: Policy) -> Tensor:
        batch = right_padded(next(batches), student.pad_id)
        taught = _frozen(aligned, batch)
        return _per_answer(probabilities_loss(_states(student, batch), taught), batch)

    return loss


def from_advantage(
    start: Policy,
    aligned: Policy,
    reference: Policy | None,
    prompts: Sequence[Ids],
    strength: float,
    schedule: Schedule,
) -> Lesson:
    """The recovered advantage alone, at the tokens of the student's own answers.

    Args:
        start: the student as it was, which the KL holds it to.
        aligned: whose advantage it is.
        reference: over what; None takes ln p(a | h) alone, which pays what the reference liked too.
        prompts: encoded by the tokenizer that all of them share.
        strength: 1 takes the reward at the price of KL that the aligned policy paid.
        schedule: how to learn.
    """
    batches = _batches(prompts, schedule)
    generator = torch.Generator().manual_seed(schedule.seed)
    sampling = Sampling(max_new_tokens=schedule.max_new_tokens)

    def loss(student: Policy) -> Tensor:
        asked = next(batches)
        student.model.eval()
        drawn = draw_answers(student, asked, generator, student.eos_ids, sampling)
        student.model.train()
        sequences = [TokenSequence(p, a) for p, a in zip(asked, drawn, strict=True)]
        batch = right_padded(sequences, student.pad_id)
        advantage = _frozen(aligned, batch)
        if reference is not None:
            advantage = advantage - _frozen(reference, batch)
        own = _states(student, batch)
        return _per_answer(advantage_loss(own, _frozen(start, batch), advantage, strength), batch)

    return loss


def answers_loss(own: LogProbabilities, taken: Int[Tensor, " state"]) -> Losses:
    """Nats of what the answers say."""
    return -own.gather(1, taken[:, None])[:, 0]


def probabilities_loss(own: LogProbabilities, taught: LogProbabilities) -> Losses:
    """KL(taught || own)."""
    return (taught.exp() * (taught - own)).sum(1)


def advantage_loss(
    own: LogProbabilities, start: LogProbabilities, advantage: Tensor, strength: float
) -> Losses:
    """KL(own || start) less the advantage; at least -ln sum_a start exp(strength advantage)."""
    return (own.exp() * (own - start - strength * advantage)).sum(1)


def _batches(rows: Sequence[Row], schedule: Schedule) -> Iterator[list[Row]]:
    """Without end, in a new random order each time round."""
    generator = torch.Generator().manual_seed(schedule.seed)
    size = min(schedule.batch, len(rows))
    while True:
        order = torch.randperm(len(rows), generator=generator).tolist()
        for first in range(0, len(rows) - size + 1, size):
            yield [rows[at] for at in order[first : first + size]]


def _states(policy: Policy, batch: TokenBatch) -> LogProbabilities:
    logits = policy.model(
        input_ids=batch.ids.to(policy.device),
        attention_mask=batch.attention.long().to(policy.device),
    ).logits
    nats: Tensor = logits[batch.predicts_response.to(policy.device)].float().log_softmax(-1)
    return nats


@torch.no_grad()
def _frozen(policy: Policy, batch: TokenBatch) -> LogProbabilities:
    with policy.active():
        return _states(policy, batch)


def _per_answer(losses: Losses, batch: TokenBatch) -> Tensor:
    return losses.sum() / len(batch.ids)


def _rate_over(steps: int) -> Callable[[int], float]:
    def rate(at: int) -> float:
        done = (at + 1) / (steps + 1)
        return min(done / _WARMUP, 0.5 + 0.5 * math.cos(math.pi * done))

    return rate
