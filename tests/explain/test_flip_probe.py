"""The smallest edits that flip a preference, against a search by brute force."""

from itertools import combinations

import numpy as np
import pytest

from explain.probes.declared import Flips
from explain.probes.edits import replaced_words
from explain.probes.flips import search_flips, single_edits, smallest
from explain.targets import Exchange, reward
from irl.rewards.terms import TermReward
from tests.explain.grounds import answers, by, ground, noise, per_text

SWAPS = {"good": "bad"}


def brute_force(text: str, below: float, value) -> tuple[int, float] | None:
    """The size of the smallest edit, and the lowest value that this size reaches."""
    edits = single_edits(text, SWAPS)
    for size in (1, 2):
        values = [
            value(Exchange("x", replaced_words(text, dict(chosen))))
            for chosen in combinations(edits, size)
            if len({at for at, _ in chosen}) == size
        ]
        if values and min(values) < below:
            return size, min(values)
    return None


@pytest.mark.parametrize("seed", range(12))
def test_flips_are_the_smallest_there_are(seed: int) -> None:
    text = "the good cat and the good dog sat."
    rng = np.random.default_rng(seed)
    below = float(rng.normal(-1.5, 1))

    def value(one: Exchange) -> float:
        return noise(one, seed)

    (found,) = smallest([Exchange("x", text)], [below], SWAPS, per_text(value))
    expected = brute_force(text, below, value)
    assert (found is None) == (expected is None)
    if found is not None and expected is not None:
        assert (len(found.edits), found.value) == (expected[0], pytest.approx(expected[1]))
        assert value(Exchange("x", found.text)) == pytest.approx(found.value)


def test_a_paid_word_is_what_flips() -> None:
    target = reward(TermReward(("cat", "dog"), (1.0, 1.0)))
    better = [Exchange("x", "a cat sat."), Exchange("x", "a cat and a dog sat.")]
    one, two = smallest(better, [0.5, 0.5], {}, target)
    assert one is not None
    assert two is not None
    assert (one.edits, one.text) == (((1, ""),), "a sat.")
    assert (two.edits, two.text) == (((1, ""), (4, "")), "a and a sat.")


def test_what_two_words_do_not_flip_is_counted() -> None:
    target = per_text(lambda one: float(len(one.response)))
    assert smallest([Exchange("x", "a b c d e f")], [1.0], {}, target) == [None]
    assert smallest([Exchange("x", "")], [-1.0], {}, target) == [None]
    assert smallest([], [], {}, target) == []


@pytest.mark.slow
def test_the_search_counts_its_pairs_and_names_words() -> None:
    target = reward(TermReward(("cat",), (1.0,)))
    found = search_flips(Flips(pairs=20), ground(answers(), target), by(target))
    assert found.pairs == found.by_one + found.by_two + found.by_none
    assert set(found.words) <= {"cat"}
    for one in found.examples:
        assert one.margin_before > 0 > one.margin_after


def test_answers_of_equal_worth_are_no_preference() -> None:
    target = per_text(lambda _: 1.0)
    found = search_flips(Flips(), ground(answers(), target), by(target))
    assert (found.pairs, found.examples) == (0, [])
