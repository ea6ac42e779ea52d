"""Divergences by sampling, held against exact ones."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from irl.evaluation.drift import MIN_OCCURRENCES, TOP, by_position, drift, top_tokens
from irl.records import Drift

Array = NDArray[np.float64]
ALIGNED = np.array([0.5, 0.2, 0.2, 0.1])
REFERENCE = np.array([0.25, 0.25, 0.25, 0.25])
TOKENS = ("yes", "no", " maybe", "<eos>")


def kl(first: Array, second: Array) -> float:
    return float((first * np.log(first / second)).sum())


def categorical(n_prompts: int, size: int, length: int, seed: int = 0) -> Drift | None:
    """Answers of `length` independent tokens from ALIGNED and from REFERENCE."""
    generator = np.random.default_rng(seed)
    n = n_prompts * size
    sides = (generator.choice(4, (n, length), p=p) for p in (ALIGNED, REFERENCE))
    drawn = np.concatenate(list(sides))
    log_ratio = np.log(ALIGNED / REFERENCE)
    prompts = [f"prompt {at // size}" for at in range(n)] * 2
    return drift(
        [log_ratio[row] for row in drawn],
        [[TOKENS[token] for token in row] for row in drawn],
        np.arange(2 * n) < n,
        prompts,
    )


@pytest.mark.parametrize("length", [1, 3])
def test_the_divergences_of_two_categorical_policies_lie_in_their_intervals(length: int):
    found = categorical(n_prompts=60, size=8, length=length, seed=1)
    assert found is not None
    forward, reverse = kl(ALIGNED, REFERENCE), kl(REFERENCE, ALIGNED)
    for estimate, truth in (
        (found.sequence_kl_nats, length * forward),
        (found.token_kl_nats, forward),
        (found.reverse_sequence_kl_nats, length * reverse),
        (found.reverse_token_kl_nats, reverse),
    ):
        assert estimate.low < truth < estimate.high
        assert estimate.high - estimate.low < truth
        assert estimate.n == 60


@pytest.mark.slow
def test_about_95_percent_of_the_intervals_of_the_divergence_cover_it():
    covered = []
    for seed in range(150):
        found = categorical(n_prompts=40, size=4, length=2, seed=seed)
        assert found is not None
        interval = found.sequence_kl_nats
        covered.append(interval.low <= 2 * kl(ALIGNED, REFERENCE) <= interval.high)
    assert 0.88 <= np.mean(covered) <= 0.99


def by_hand() -> Drift:
    """Two prompts, one short and one long aligned answer, one reference answer each."""
    log_ratios = [np.array([1.0]), np.array([2.0, 0.0, 3.0]), np.array([-1.0]), np.array([-3.0])]
    tokens = [["a"], ["a", "b", "c"], ["a"], ["b"]]
    found = drift(log_ratios, tokens, np.array([True, True, False, False]), ["p", "q", "p", "q"])
    assert found is not None
    return found


def test_the_sequence_divergence_averages_responses_and_the_token_divergence_tokens():
    found = by_hand()
    assert found.sequence_kl_nats.value == (1 + 5) / 2
    assert found.token_kl_nats.value == (1 + 5) / (1 + 3)
    assert found.sequence_kl_nats.n == 2


def test_the_reverse_divergence_is_that_of_the_reference_answers_with_the_other_sign():
    found = by_hand()
    assert found.reverse_sequence_kl_nats.value == (1 + 3) / 2
    assert found.reverse_token_kl_nats.value == (1 + 3) / 2


def test_positions_average_the_aligned_answers_that_reach_them():
    found = by_hand()
    assert [(row.position, row.kl_nats, row.n) for row in found.by_position] == [
        (0, 1.5, 2),
        (1, 0.0, 1),
        (2, 3.0, 1),
    ]


def test_positions_count_the_answers_and_add_up_to_the_sequence_divergence():
    generator = np.random.default_rng(1)
    rows = [generator.normal(size=generator.integers(1, 9)) for _ in range(50)]
    found = by_position(rows)
    assert [row.n for row in found] == [sum(len(row) > at for row in rows) for at in range(8)]
    assert sum(row.kl_nats * row.n for row in found) == pytest.approx(sum(map(np.sum, rows)))
    assert by_position([]) == []


def test_prompts_are_listed_by_the_divergence_of_their_aligned_answers():
    assert [(row.prompt_id, row.kl_nats) for row in by_hand().top_prompts] == [("q", 5), ("p", 1)]


def test_tokens_are_listed_by_the_size_of_their_mean_log_ratio_if_frequent_enough():
    often, seldom = MIN_OCCURRENCES, MIN_OCCURRENCES - 1
    pieces = [*["down"] * often, *["up"] * often, *["rare"] * seldom]
    values = np.array([-2.0] * often + [1.0] * often + [9.0] * seldom)
    found = top_tokens([values], [pieces])
    assert [(move.token, move.mean_log_ratio_nats, move.n) for move in found] == [
        ("down", -2.0, often),
        ("up", 1.0, often),
    ]


def test_no_more_than_the_top_of_tokens_and_prompts_is_listed():
    n, k = 3 * TOP, MIN_OCCURRENCES
    rows = [np.full(k, float(at)) for at in range(n)]
    found = drift(
        rows * 2,
        [[f"t{at}"] * k for at in range(n)] * 2,
        np.arange(2 * n) < n,
        [f"p{at}" for at in range(n)] * 2,
    )
    assert found is not None
    assert [move.token for move in found.top_tokens] == [f"t{n - 1 - at}" for at in range(TOP)]
    assert len(found.top_prompts) == TOP
    assert all(a.kl_nats >= b.kl_nats for a, b in pairwise(found.top_prompts))


@pytest.mark.parametrize(
    ("aligned", "prompts"),
    [
        ([], []),
        ([True], ["p"]),
        ([True, False], ["p", "p"]),
        ([True, True], ["p", "q"]),
        ([True, True, False], ["p", "q", "p"]),
        ([False, False, True], ["p", "q", "p"]),
    ],
    ids=["nothing", "one", "one prompt", "no reference", "one reference", "one aligned"],
)
def test_a_side_with_fewer_than_two_prompts_gives_no_drift(aligned: list[bool], prompts: list[str]):
    rows = [np.ones(2)] * len(aligned)
    tokens = [["a", "b"]] * len(aligned)
    assert drift(rows, tokens, np.array(aligned, dtype=bool), prompts) is None


def test_identical_policies_have_no_drift_at_all():
    rows, tokens = [np.zeros(3)] * 4, [["a", "b", "c"]] * 4
    found = drift(rows, tokens, np.array([True, True, False, False]), ["p", "q", "p", "q"])
    assert found is not None
    assert found.sequence_kl_nats.model_dump() == {"value": 0, "low": 0, "high": 0, "n": 2}
