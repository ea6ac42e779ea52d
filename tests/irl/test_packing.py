"""Packed rows: every response once, every prompt once a row, and nobody sees a stranger."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from irl.packing import Block, Pack, Run, packs
from irl.tensors import TokenSequence

IDS = st.lists(st.integers(3, 30), max_size=12).map(tuple)
PROMPTS = st.lists(st.integers(3, 5), min_size=1, max_size=6).map(tuple)
EXCHANGES = st.lists(st.tuples(PROMPTS, IDS), max_size=25)
BUDGETS = st.integers(1, 120)
Exchanges = list[tuple[tuple[int, ...], tuple[int, ...]]]


def told(exchanges: Exchanges) -> list[TokenSequence]:
    return [TokenSequence(*exchange) for exchange in exchanges]


def seen_by(pack: Pack, window: int | None = None) -> dict[int, list[int]]:
    """Where in the row the tokens stand that each token sees, in order, as the blocks say."""
    seen: dict[int, list[int]] = {}
    for block in pack.blocks:
        visible = block.visible(window)
        for run, at in block.real.nonzero().tolist():
            keys = block.keys[run][visible[run, at]]
            assert seen.setdefault(int(block.queries[run, at]), keys.tolist()) is not None
    return seen


def pieces(pack: Pack, sequences: list[TokenSequence]) -> list[tuple[TokenSequence, list[int]]]:
    """Each member of a pack and the positions in the row that predict its response."""
    split = pack.predicting.split(list(pack.lengths))
    return [(sequences[n], at.tolist()) for n, at in zip(pack.members, split, strict=True)]


@given(EXCHANGES, BUDGETS)
@settings(max_examples=30, deadline=None)
def test_every_response_that_is_not_empty_is_in_one_row(exchanges: Exchanges, budget: int):
    sequences = told(exchanges)
    members = [index for pack in packs(sequences, budget) for index in pack.members]
    assert sorted(members) == [n for n, one in enumerate(sequences) if one.response_ids]


@given(EXCHANGES, BUDGETS)
@settings(max_examples=30, deadline=None)
def test_a_response_is_predicted_by_its_own_prompt_and_beginning(exchanges: Exchanges, budget: int):
    sequences = told(exchanges)
    for pack in packs(sequences, budget):
        seen = seen_by(pack)
        assert sorted(seen) == list(range(len(pack.ids)))
        for sequence, predicting in pieces(pack, sequences):
            for n_before, at in enumerate(predicting):
                before = sequence.prompt_ids + sequence.response_ids[:n_before]
                assert tuple(pack.ids[seen[at]].tolist()) == before
                assert pack.positions[seen[at]].tolist() == list(range(len(before)))


@given(EXCHANGES, BUDGETS)
@settings(max_examples=30, deadline=None)
def test_targets_are_the_response_tokens(exchanges: Exchanges, budget: int):
    sequences = told(exchanges)
    for pack in packs(sequences, budget):
        said = [token for member in pack.members for token in sequences[member].response_ids]
        assert pack.targets.tolist() == said


@given(EXCHANGES, BUDGETS)
@settings(max_examples=30, deadline=None)
def test_rows_keep_to_the_budget_unless_one_response_is_longer(exchanges: Exchanges, budget: int):
    sequences = told(exchanges)
    for pack in packs(sequences, budget):
        assert len(pack.ids) <= budget or len(pack.members) == 1


@given(EXCHANGES, st.integers(1, 8))
@settings(max_examples=20, deadline=None)
def test_a_window_hides_what_is_further_back(exchanges: Exchanges, window: int):
    sequences = told(exchanges)
    for pack in packs(sequences, 1000):
        near = seen_by(pack, window)
        assert near == {at: seen[-window:] for at, seen in seen_by(pack).items()}


def test_a_prompt_is_held_once_and_last_tokens_are_not_held():
    sequences = [TokenSequence((7, 8), (1, 2)), TokenSequence((9,), (5,))]
    sequences += [TokenSequence((7, 8), (3, 4, 5)), TokenSequence((7, 8), ())]
    (pack,) = packs(sequences, 100)
    # the longest answer to (7, 8) with its prompt, the other one without it, then (9,)
    assert pack.ids.tolist() == [7, 8, 3, 4, 1, 9]
    assert pack.positions.tolist() == [0, 1, 2, 3, 2, 0]
    assert pack.predicting.tolist() == [1, 2, 3, 1, 4, 5]
    assert pack.members == (2, 0, 1)


def test_a_group_that_is_split_repeats_its_prompt():
    sequences = [TokenSequence((7, 8), (1, n)) for n in range(5)]
    rows = list(packs(sequences, 5))
    assert [row.ids.tolist() for row in rows] == [[7, 8, 1, 1, 1], [7, 8, 1, 1]]


def test_the_rows_are_a_function_of_the_sequences():
    sequences = [TokenSequence((n % 3 + 1,), tuple(range(n))) for n in range(20)]
    once, again = (list(packs(sequences, 30)) for _ in range(2))
    assert [row.ids.tolist() for row in once] == [row.ids.tolist() for row in again]


def test_an_empty_prompt_is_refused():
    with pytest.raises(ValueError, match="a prompt is empty"):
        list(packs([TokenSequence((), (1, 2))], 10))


def test_a_block_without_prompts_elsewhere_is_plainly_causal_within_its_window():
    trunk = Block.of([Run(0, 5), Run(5, 4)])
    branch = Block.of([Run(9, 3, prompt_start=0, prompt_length=2)])
    assert trunk.plainly_causal(None)
    assert trunk.plainly_causal(5)
    assert not trunk.plainly_causal(4)
    assert not branch.plainly_causal(None)
    assert torch.equal(trunk.visible(None)[0], torch.ones(5, 5).tril().bool())
