"""Order, batches and shards: the same table whatever was finished before."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from irl.config import Sampling
from irl.engine.local import (
    RESPONSES_PER_SHARD,
    Workshop,
    draw_answers,
    sample_pair,
    score_pair,
    sums,
)
from irl.engine.shards import Shards, run_parts, slices
from irl.policies.pair import PolicyPair
from irl.policies.sample import Ids
from irl.tensors import TokenSequence, by_length
from tests import fakes

EOS = frozenset({2})
PROMPTS: list[Ids] = [
    (1, 50, 60, 70, 80),
    (1,),
    (1, 9, 8, 7),
    (1, 30),
    (1, 11, 12),
    (1, 5, 6, 7, 8, 9),
]
SMALL = Sampling(
    responses_per_prompt=3, max_new_tokens=6, prompts_per_shard=2, token_budget=64, temperature=1.0
)
GREEDY = SMALL.model_copy(update={"temperature": 1e-5})
LENGTHS = st.lists(st.integers(1, 300), max_size=40)


class Stop(Exception):
    """The interruption of a run."""


@pytest.fixture(scope="module")
def pair() -> PolicyPair:
    reference = fakes.model()
    return PolicyPair(fakes.policy(fakes.nudged(reference, 0.2)), fakes.policy(reference))


@pytest.fixture(scope="module")
def sampled(pair: PolicyPair, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pa.Table]:
    """A whole run: its shard folder and its table."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, sample_pair(pair, PROMPTS, Workshop(folder, SMALL, seed=7))


def stop_after(n_parts: int) -> Callable[[str, int, int], None]:
    """A progress report that interrupts the run at its n-th finished part."""
    seen = []

    def report(what: str, done: int, total: int) -> None:
        seen.append((what, done))
        if len(seen) == n_parts:
            raise Stop

    return report


# --- batches by length ------------------------------------------------------------------------


@given(LENGTHS, st.integers(1, 600))
@settings(max_examples=80, deadline=None)
def test_every_index_is_in_one_batch_within_the_budget(lengths: list[int], budget: int):
    batches = by_length(lengths, budget)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        padded = len(batch) * max(lengths[index] for index in batch)
        assert padded <= budget or len(batch) == 1


@given(LENGTHS, st.integers(1, 600))
@settings(max_examples=80, deadline=None)
def test_longest_come_first_and_equal_lengths_keep_their_order(lengths: list[int], budget: int):
    order = [index for batch in by_length(lengths, budget) for index in batch]
    assert order == sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))


@given(LENGTHS, st.integers(1, 600))
@settings(max_examples=80, deadline=None)
def test_no_batch_could_have_taken_the_next_sequence(lengths: list[int], budget: int):
    batches = by_length(lengths, budget)
    for batch in batches[:-1]:
        assert lengths[batch[0]] * (len(batch) + 1) > budget


def test_the_hand_worked_batches():
    # longest first: 5 | 4 4 | 1; 2 x 4 fits a budget of 8 and 2 x 5 does not; then 2 x 1 fits
    assert by_length([1, 4, 5, 4, 1], 8) == [[2], [1, 3], [0, 4]]
    assert by_length([], 8) == []
    assert by_length([99], 8) == [[0]]


def test_slices_cover_everything_in_order():
    assert slices("abcdefg", 3) == ["abc", "def", "g"]
    assert slices([], 3) == []


# --- parts as files ---------------------------------------------------------------------------

PARTS = ["one", "two", "three", "four"]


def lengths_table(index: int, part: str) -> pa.Table:
    return pa.table({"index": [index] * 2, "text": [part, part.upper()]})


class Counted:
    """Computes parts and remembers which."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def __call__(self, index: int, part: str) -> pa.Table:
        self.parts.append(part)
        return lengths_table(index, part)


def slow_parts() -> pa.Table:
    return pa.concat_tables([lengths_table(index, part) for index, part in enumerate(PARTS)])


def test_parts_are_put_together_in_order(tmp_path: Path):
    assert run_parts(Shards(tmp_path, "work"), PARTS, lengths_table).equals(slow_parts())


def test_finished_parts_are_not_computed_again(tmp_path: Path):
    first, second = Counted(), Counted()
    table = run_parts(Shards(tmp_path, "work"), PARTS, first)
    assert run_parts(Shards(tmp_path, "work"), PARTS, second).equals(table)
    assert (first.parts, second.parts) == (PARTS, [])


def test_parts_of_another_name_are_not_taken_for_finished(tmp_path: Path):
    other = Counted()
    run_parts(Shards(tmp_path, "work"), PARTS, lengths_table)
    run_parts(Shards(tmp_path, "other"), PARTS, other)
    assert other.parts == PARTS


@pytest.mark.parametrize("keep", [0, 4, -1, -20], ids=["empty", "four bytes", "one less", "cut"])
def test_a_truncated_part_is_computed_again(tmp_path: Path, keep: int):
    run_parts(Shards(tmp_path, "work"), PARTS, lengths_table)
    file = sorted(tmp_path.glob("work-*.parquet"))[1]
    file.write_bytes(file.read_bytes()[:keep])
    again = Counted()
    assert run_parts(Shards(tmp_path, "work"), PARTS, again).equals(slow_parts())
    assert again.parts == ["two"]


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path: Path):
    def breaks_at_three(index: int, part: str) -> pa.Table:
        if part == "three":
            raise Stop
        return lengths_table(index, part)

    with pytest.raises(Stop):
        run_parts(Shards(tmp_path, "work"), PARTS, breaks_at_three)
    rest = Counted()
    assert run_parts(Shards(tmp_path, "work"), PARTS, rest).equals(slow_parts())
    assert rest.parts == ["three", "four"]


def test_progress_counts_finished_parts_reused_or_not(tmp_path: Path):
    seen: list[tuple[str, int, int]] = []
    for _ in range(2):
        run_parts(
            Shards(tmp_path, "work"), PARTS, lengths_table, lambda *report: seen.append(report)
        )
    assert seen == [("work", done, 4) for done in (1, 2, 3, 4)] * 2


# --- sampling from a pair ---------------------------------------------------------------------


def test_every_prompt_gets_its_responses_from_both_sides(sampled: tuple[Path, pa.Table]):
    rows = list(
        zip(sampled[1]["prompt"].to_pylist(), sampled[1]["source"].to_pylist(), strict=True)
    )
    assert sorted(rows) == sorted(
        (prompt, source)
        for prompt in range(len(PROMPTS))
        for source in ("aligned", "reference")
        for _ in range(SMALL.responses_per_prompt)
    )


@pytest.mark.slow
def test_each_response_answers_the_prompt_of_its_row(pair: PolicyPair, tmp_path: Path):
    table = sample_pair(pair, PROMPTS, Workshop(tmp_path, GREEDY, seed=0))
    sides = {"aligned": pair.aligned, "reference": pair.reference}
    for row in table.to_pylist():
        prompt = [PROMPTS[row["prompt"]]]
        (alone,) = draw_answers(sides[row["source"]], prompt, torch.Generator(), EOS, GREEDY)
        assert tuple(row["token_ids"]) == alone


@pytest.mark.parametrize("finished", [[], [0], [5], [0, 2, 3], [1, 4, 5], range(6)])
def test_the_rows_are_the_same_whatever_was_finished(
    pair: PolicyPair, sampled: tuple[Path, pa.Table], tmp_path: Path, finished: Sequence[int]
):
    folder, table = sampled
    files = sorted(folder.glob("*.parquet"))
    assert len(files) == 6
    for index in finished:
        shutil.copy(files[index], tmp_path)
    assert sample_pair(pair, PROMPTS, Workshop(tmp_path, SMALL, seed=7)).equals(table)


@pytest.mark.parametrize("n_parts", [1, 3, 5])
def test_a_run_that_is_interrupted_ends_with_the_same_rows(
    pair: PolicyPair, sampled: tuple[Path, pa.Table], tmp_path: Path, n_parts: int
):
    with pytest.raises(Stop):
        sample_pair(pair, PROMPTS, Workshop(tmp_path, SMALL, 7, stop_after(n_parts)))
    assert len(list(tmp_path.glob("*.parquet"))) == n_parts
    assert sample_pair(pair, PROMPTS, Workshop(tmp_path, SMALL, seed=7)).equals(sampled[1])


def test_another_seed_gives_other_responses(
    pair: PolicyPair, sampled: tuple[Path, pa.Table], tmp_path: Path
):
    other = sample_pair(pair, PROMPTS, Workshop(tmp_path, SMALL, seed=8))
    assert other["prompt"].equals(sampled[1]["prompt"])
    assert not other["token_ids"].equals(sampled[1]["token_ids"])


def test_both_sides_and_all_shards_draw_independently(tmp_path: Path):
    one = fakes.policy(fakes.model())
    work = Workshop(tmp_path, SMALL.model_copy(update={"prompts_per_shard": 1}), seed=7)
    table = sample_pair(PolicyPair(one, one), [(1, 7)] * 4, work)
    assert len(set(map(tuple, table["token_ids"].to_pylist()))) > 20


def test_the_order_of_drawn_answers_is_the_order_of_the_prompts(pair: PolicyPair):
    prompts = [PROMPTS[index] for index in (3, 0, 5, 1, 1, 4, 2, 0)]
    together = draw_answers(pair.reference, prompts, torch.Generator(), EOS, GREEDY)
    alone = [
        draw_answers(pair.reference, [prompt], torch.Generator(), EOS, GREEDY)[0]
        for prompt in prompts
    ]
    assert together == alone
    assert len(set(together)) > 3


# --- scoring a pair ---------------------------------------------------------------------------


def responses_of(table: pa.Table) -> list[TokenSequence]:
    return [
        TokenSequence(PROMPTS[row["prompt"]], tuple(row["token_ids"])) for row in table.to_pylist()
    ]


def test_scores_come_in_the_order_given(
    pair: PolicyPair, sampled: tuple[Path, pa.Table], tmp_path: Path
):
    sequences = responses_of(sampled[1])
    sequences.append(TokenSequence((1, 5), ()))
    scored = score_pair(pair, sequences, Workshop(tmp_path, SMALL, seed=0))
    for side, policy in (("aligned", pair.aligned), ("reference", pair.reference)):
        for sequence, nats in zip(sequences, scored[f"{side}_nats"].to_pylist(), strict=True):
            alone = policy.nats([sequence])[0].tolist()
            assert nats == pytest.approx(alone, abs=1e-5)


@pytest.mark.slow
def test_scores_are_reused_and_the_same_after_an_interruption(pair: PolicyPair, tmp_path: Path):
    numbers = range(RESPONSES_PER_SHARD + 1)
    sequences = [TokenSequence((1, 9 + n % 50), (n % 300, 2)) for n in numbers]
    sampling = SMALL.model_copy(update={"token_budget": 16384})
    with pytest.raises(Stop):
        score_pair(pair, sequences, Workshop(tmp_path / "cut", sampling, 0, stop_after(1)))
    assert len(list((tmp_path / "cut").glob("scored-*.parquet"))) == 1
    resumed = score_pair(pair, sequences, Workshop(tmp_path / "cut", sampling, seed=0))
    whole = score_pair(pair, sequences, Workshop(tmp_path / "whole", sampling, seed=0))
    assert resumed.equals(whole)
    assert whole.num_rows == len(sequences)


def test_sums_are_taken_in_float64_and_empty_rows_sum_to_zero():
    rows = [[-0.1] * 1000, [], [-1.5, -2.0]]
    table = pa.table({"nats": pa.array(rows, pa.list_(pa.float32()))})
    tenth = float(np.float32(-0.1))
    assert sums(table, "nats").tolist() == pytest.approx([1000 * tenth, 0.0, -3.5], abs=1e-9)


def test_shards_hold_ids_as_integers_and_nats_as_float32(
    pair: PolicyPair, sampled: tuple[Path, pa.Table], tmp_path: Path
):
    score_pair(pair, responses_of(sampled[1]), Workshop(tmp_path, SMALL, seed=0), "again")
    (file,) = tmp_path.glob("again-*.parquet")
    scored = pq.read_schema(file)
    assert scored.field("aligned_nats").type == pa.list_(pa.float32())
    assert sampled[1].schema.field("token_ids").type == pa.list_(pa.int32())
