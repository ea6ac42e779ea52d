"""Nats of tokens: a log-softmax that is never whole."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from irl import scoring
from irl.scoring import CHUNK_POSITIONS, LinearHead, token_nats

N_POSITIONS, HIDDEN, VOCABULARY = 23, 6, 11


def numbers(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def problem(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Hidden states, targets and the weight of a linear head."""
    targets = torch.randint(
        0, VOCABULARY, (N_POSITIONS,), generator=torch.Generator().manual_seed(seed)
    )
    return numbers(N_POSITIONS, HIDDEN, seed=seed), targets, numbers(HIDDEN, VOCABULARY, seed=seed)


def slow_nats(logits: Tensor, targets: Tensor) -> list[float]:
    """The whole log-softmax in float64, then one entry per row."""
    whole = torch.log_softmax(logits.double(), dim=-1)
    return [whole[row, token].item() for row, token in enumerate(targets.tolist())]


@pytest.mark.parametrize("chunk", [1, 2, 7, N_POSITIONS, N_POSITIONS + 1, CHUNK_POSITIONS])
def test_nats_are_the_entries_of_the_whole_log_softmax(chunk: int):
    hidden, targets, weight = problem()
    nats = token_nats(hidden, targets, lambda some: some @ weight, chunk)
    assert nats.tolist() == pytest.approx(slow_nats(hidden @ weight, targets), abs=1e-5)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 5))
@settings(max_examples=20, deadline=None)
def test_nats_do_not_depend_on_the_chunk(one: int, other: int, seed: int):
    hidden, targets, weight = problem(seed)
    first = token_nats(hidden, targets, lambda some: some @ weight, one)
    second = token_nats(hidden, targets, lambda some: some @ weight, other)
    torch.testing.assert_close(first, second, rtol=0, atol=1e-5)


@pytest.mark.parametrize("chunk", [1, 4, 23, 100])
def test_the_head_never_sees_more_than_a_chunk_and_each_position_once(chunk: int):
    hidden, targets, weight = problem()
    seen = []

    def head(some: Tensor) -> Tensor:
        seen.append(some)
        return some @ weight

    token_nats(hidden, targets, head, chunk)
    assert max(len(rows) for rows in seen) <= chunk
    assert torch.equal(torch.cat(seen), hidden)


def test_no_positions_give_no_nats():
    nothing = token_nats(
        torch.empty(0, HIDDEN), torch.empty(0, dtype=torch.long), lambda h: h @ problem()[2]
    )
    assert nothing.shape == (0,)
    assert nothing.dtype == torch.float32


def test_a_uniform_head_gives_minus_log_of_the_vocabulary():
    hidden, targets, _ = problem()
    nats = token_nats(hidden, targets, lambda some: torch.zeros(len(some), VOCABULARY))
    assert nats.tolist() == pytest.approx([-math.log(VOCABULARY)] * N_POSITIONS, abs=1e-6)


def test_the_probabilities_of_all_tokens_sum_to_one():
    hidden, _, weight = problem()
    every = torch.stack(
        [
            token_nats(hidden, torch.full((N_POSITIONS,), token), lambda some: some @ weight, 5)
            for token in range(VOCABULARY)
        ]
    )
    torch.testing.assert_close(every.exp().sum(0), torch.ones(N_POSITIONS))


def test_a_constant_added_to_the_logits_changes_nothing():
    hidden, targets, weight = problem()
    shift = numbers(N_POSITIONS, 1, seed=3, scale=20.0)
    moved = token_nats(
        torch.cat([hidden, shift], 1), targets, lambda h: h[:, :-1] @ weight + h[:, -1:]
    )
    plain = token_nats(hidden, targets, lambda h: h @ weight)
    torch.testing.assert_close(moved, plain, rtol=0, atol=2e-5)


def test_half_precision_logits_are_normalised_in_float32():
    hidden, targets, weight = problem()
    logits = (hidden @ weight).bfloat16()
    rows = iter(logits.split(4))
    nats = token_nats(hidden, targets, lambda some: next(rows), chunk=4)
    assert nats.dtype == torch.float32
    assert nats.tolist() == pytest.approx(slow_nats(logits, targets), abs=1e-5)


def test_extreme_logits_stay_finite():
    logits = torch.tensor([[1e4, -1e4, 0.0]])
    nats = [token_nats(logits, torch.tensor([token]), lambda some: some) for token in range(3)]
    assert [value.item() for value in nats] == [0.0, -2e4, -1e4]


@pytest.mark.parametrize("pieces", [1, 3, 10, 11, 12])
@pytest.mark.parametrize("biased", [False, True])
def test_nats_streamed_over_the_vocabulary_are_the_entries_of_the_whole_log_softmax(
    monkeypatch: pytest.MonkeyPatch, pieces: int, biased: bool
):
    monkeypatch.setattr(scoring, "SLICE_PIECES", pieces)
    hidden, targets, weight = problem()
    bias = numbers(VOCABULARY, seed=4) if biased else None
    head = LinearHead(weight.T, bias, lambda logits: torch.tanh(logits / 2) * 2)
    logits = torch.tanh((hidden @ weight + (0 if bias is None else bias)) / 2) * 2
    assert token_nats(hidden, targets, head, 7).tolist() == pytest.approx(
        slow_nats(logits, targets), abs=1e-5
    )


def test_extreme_logits_stay_finite_when_streamed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(scoring, "SLICE_PIECES", 1)
    for order in ([1e4, -1e4, 0.0], [-1e4, 0.0, 1e4]):
        head = LinearHead(torch.tensor(order)[:, None], None, lambda logits: logits)
        nats = token_nats(torch.ones(3, 1), torch.arange(3), head)
        assert nats.tolist() == [value - 1e4 for value in order]


def test_half_precision_weights_are_multiplied_in_float32():
    hidden, targets, weight = problem()
    hidden, weight = hidden.bfloat16(), weight.bfloat16()
    nats = token_nats(hidden, targets, LinearHead(weight.T, None, lambda logits: logits))
    assert nats.tolist() == pytest.approx(
        slow_nats(hidden.double() @ weight.double(), targets), abs=1e-5
    )
