"""Where a response starts, what predicts it, and that padding is never read."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from irl.tensors import TokenBatch, TokenSequence, right_padded

PAD = 9
IDS = st.lists(st.integers(0, 8), max_size=5).map(tuple)
PROMPTS = st.lists(st.integers(0, 8), min_size=1, max_size=5).map(tuple)
BATCHES = st.lists(st.tuples(PROMPTS, IDS), min_size=1, max_size=5)
Pairs = list[tuple[tuple[int, ...], tuple[int, ...]]]


def sequences_of(pairs: Pairs) -> list[TokenSequence]:
    return [TokenSequence(prompt, response) for prompt, response in pairs]


def slow_predictions(batch: TokenBatch, sequences: list[TokenSequence]) -> list[tuple[int, ...]]:
    """For each position that predicts: (row, position, the token that comes next)."""
    predictions = []
    for row, sequence in enumerate(sequences):
        for offset, token in enumerate(sequence.response_ids):
            predictions.append((row, len(sequence.prompt_ids) + offset - 1, token))
    return predictions


def test_the_hand_worked_batch():
    # row 0:  position  0 1 2 | 3 4       the prompt 1 5 6, then the response 7 2;
    #         token     1 5 6 | 7 2       7 is predicted at position 2 and 2 at position 3
    # row 1:  position  0 | 1 2 3  4      the prompt 1, then 8 2 2, predicted at 0, 1 and 2;
    #         token     1 | 8 2 2  pad    position 4 is padding
    batch = right_padded([TokenSequence((1, 5, 6), (7, 2)), TokenSequence((1,), (8, 2, 2))], PAD)

    assert batch.ids.tolist() == [[1, 5, 6, 7, 2], [1, 8, 2, 2, PAD]]
    assert batch.attention.tolist() == [[True] * 5, [True, True, True, True, False]]
    assert batch.predicts_response.tolist() == [
        [False, False, True, True, False],
        [True, True, True, False, False],
    ]
    assert batch.targets.tolist() == [7, 2, 8, 2, 2]


@given(BATCHES)
@settings(max_examples=60, deadline=None)
def test_each_response_token_is_predicted_from_the_position_before_it(pairs: Pairs):
    sequences = sequences_of(pairs)
    batch = right_padded(sequences, PAD)
    expected = slow_predictions(batch, sequences)
    assert batch.predicts_response.nonzero().tolist() == [[row, at] for row, at, _ in expected]
    assert batch.targets.tolist() == [token for _, _, token in expected]


@given(BATCHES)
@settings(max_examples=60, deadline=None)
def test_attended_positions_hold_the_sequence_and_the_rest_is_padding(pairs: Pairs):
    sequences = sequences_of(pairs)
    batch = right_padded(sequences, PAD)
    for ids, attention, sequence in zip(batch.ids, batch.attention, sequences, strict=True):
        assert ids[attention].tolist() == [*sequence.prompt_ids, *sequence.response_ids]
        assert set(ids[~attention].tolist()) <= {PAD}
        assert attention.tolist() == sorted(attention.tolist(), reverse=True)


@given(BATCHES)
@settings(max_examples=30, deadline=None)
def test_the_pad_id_never_reaches_a_target(pairs: Pairs):
    sequences = sequences_of(pairs)
    one, other = right_padded(sequences, PAD), right_padded(sequences, 0)
    assert torch.equal(one.targets, other.targets)
    assert torch.equal(one.predicts_response, other.predicts_response)


@pytest.mark.parametrize("prompt", [(1,), (1, 5, 6)])
def test_an_empty_response_predicts_nothing(prompt: tuple[int, ...]):
    batch = right_padded([TokenSequence(prompt, ())], PAD)
    assert not batch.predicts_response.any()
    assert batch.targets.tolist() == []


def test_the_length_of_a_sequence_counts_prompt_and_response():
    assert len(TokenSequence((1, 5), (7, 8, 2))) == 5
