"""The map of prompts: shared words are near, order does not matter, a flat set is kept as it is."""

import numpy as np
import pytest

from explain.prompt_map import prompt_map

GREETINGS = [f"hello dear {name}" for name in ("ann", "bob", "cat", "dan")] * 2
SUMS = [f"add {a} to {b}" for a in ("one", "two") for b in ("three", "four", "five")]


def places(prompts: list[str]) -> np.ndarray:
    found = prompt_map(prompts)
    assert found is not None
    return np.array(found.places)


def distances(at: np.ndarray) -> np.ndarray:
    return np.linalg.norm(at[:, None] - at[None], axis=-1)


def test_prompts_of_a_kind_lie_nearer_each_other_than_another_kind():
    far = distances(places(GREETINGS + SUMS))
    n = len(GREETINGS)
    assert far[:n, n:].min() > max(far[:n, :n].max(), far[n:, n:].max())


def test_places_follow_their_prompts_whatever_the_order():
    draw = np.random.default_rng(0)
    vocabulary = [f"word{at}" for at in range(12)]
    prompts = [" ".join(draw.choice(vocabulary, size=5)) for _ in range(40)]
    order = draw.permutation(len(prompts))
    assert places([prompts[at] for at in order]) == pytest.approx(places(prompts)[order], abs=1e-6)


def test_prompts_that_are_flat_keep_their_distances():
    # Three kinds without a shared word: unit vectors at right angles, a triangle of side sqrt 2.
    found = prompt_map(["red ruby"] * 3 + ["green"] * 4 + ["blue"] * 5)
    assert found is not None
    assert found.share == pytest.approx(1)
    kinds = np.repeat([0, 1, 2], [3, 4, 5])
    expected = np.where(kinds[:, None] == kinds[None], 0, np.sqrt(2))
    assert distances(np.array(found.places)) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize(
    "prompts", [[], ["hello"], ["same words here too"] * 9, ["one", "two", "three", "four", "five"]]
)
def test_with_nothing_to_tell_apart_there_is_no_map(prompts: list[str]):
    assert prompt_map(prompts) is None
