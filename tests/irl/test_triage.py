"""Triage: distances to what is known, exact intervals of local errors, plants that must grow."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from irl.errors import InputError
from irl.evaluation.neighbours import Known, Near
from irl.evaluation.planted_detectors import EmbeddedPairs, auc, detectors, planted_words, shuffled
from irl.evaluation.triage import (
    LocalError,
    binomial_interval,
    local_error,
    margin,
    margin_limit,
    triage,
)

WORDS = ["red", "blue", "green", "black", "white", "grey", "pink", "brown"]


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# Neighbours


def test_neighbours_are_those_of_all_distances_in_the_units_of_the_known():
    known, others = normal(50, 4) * torch.tensor([1.0, 10.0, 0.1, 5.0]), normal(7, 4, seed=1)
    found = Known.of(known).nearest(others, 3)
    unit = known.std(0, correction=0)
    whole = torch.cdist(others / unit, known / unit)
    assert np.array_equal(found.at, whole.argsort(1)[:, :3].numpy())
    assert found.distances == pytest.approx(whole.sort(1).values[:, :3].numpy(), rel=1e-4)
    assert found.mean == pytest.approx(found.distances.mean(1))


def test_a_known_answer_is_its_own_neighbour_and_units_do_not_matter():
    known = normal(30, 5)
    one, scaled = Known.of(known), Known.of(known * 1000 + 3)
    assert one.nearest(known, 1).at[:, 0].tolist() == list(range(30))
    assert one.nearest(known, 4).distances == pytest.approx(
        scaled.nearest(known * 1000 + 3, 4).distances, abs=1e-2
    )
    among = one.nearest(known, 2, among=np.array([3, 5, 8]))
    assert set(among.at.ravel().tolist()) == {3, 5, 8}


def test_what_cannot_be_searched_is_refused():
    with pytest.raises(InputError, match="NaN or infinite"):
        Known.of(torch.tensor([[1.0, float("nan")]]))
    with pytest.raises(InputError, match="no known answers"):
        Known.of(normal(3, 2)).nearest(normal(1, 2), 2, among=np.array([], dtype=np.int64))


# Errors, margins, categories


@pytest.mark.parametrize(("k", "n"), [(0, 10), (3, 10), (10, 10), (1, 1), (7, 20)])
def test_intervals_are_the_exact_binomial_ones(k: int, n: int):
    low, high = binomial_interval(np.array([float(k)]), np.array([n]))
    exact = binomtest(k, n).proportion_ci(0.95, "exact")
    assert (low[0], high[0]) == pytest.approx((exact.low, exact.high))


def test_local_error_counts_each_pair_of_the_neighbours_once():
    near = Near(np.array([[0, 1, 2], [3, 4, 5]]), np.zeros((2, 3)))
    pair_of = np.array([0, 0, 1, 2, 3, 3])
    found = local_error(near, pair_of, np.array([1.0, 0.0, 0.5, 1.0]))
    assert found.pairs.tolist() == [2, 2]
    assert found.rate.tolist() == [0.5, 0.75]
    assert (found.low < found.rate).all()
    assert (found.rate < found.high).all()


def test_a_margin_is_zero_where_nothing_is_preferred_and_its_limit_follows_the_errors():
    assert margin(np.array([0.5, 0.0, 1.0])).tolist() == [0, 1, 1]
    own = np.linspace(0, 1, 1001)
    assert margin_limit(own, 0.3) == pytest.approx(0.3)
    assert margin_limit(own, 0.0) == pytest.approx(0.05), "the best reward has close answers too"


def test_a_category_is_the_first_that_holds():
    n = 4
    local = LocalError(
        rate=np.array([0.9, 0.9, 0.0, 0.0]),
        low=np.array([0.6, 0.6, 0.0, 0.0]),
        high=np.ones(n),
        pairs=np.full(n, 9),
    )
    found = triage(np.array([3.0, 1, 1, 1]), np.array([0, 0, 0, 0.9]), local, (2.0, 0.1, 0.2))
    assert found.category == ["out-of-distribution", "locally-wrong", "boundary", "settled"]
    assert found.boundary.tolist() == [True, True, True, False], "both are kept"


def test_few_neighbours_never_prove_an_error_by_themselves():
    """One wrong pair of one: the exact interval begins at .025."""
    near = Near(np.zeros((1, 1), dtype=np.int64), np.zeros((1, 1)))
    local = local_error(near, np.zeros(1, dtype=np.int64), np.ones(1))
    assert local.rate[0] == 1
    assert not triage(np.zeros(1), np.ones(1), local, (1.0, 0.1, 0.05)).locally_wrong[0]


# What is planted


def texts(n: int, seed: int) -> list[str]:
    generator = np.random.default_rng(seed)
    return [" ".join(["so", *generator.permutation(WORDS)[:4]]) for _ in range(n)]


def embedded(said: list[str]) -> torch.Tensor:
    """Counts of words, and places of them: what shuffling changes."""
    rows = []
    for text in said:
        pieces = text.split()
        first = 1.0 if pieces[0] == "so" else 0.0
        rows.append([*(float(pieces.count(word)) for word in (*WORDS, "well")), first])
    return torch.tensor(rows)


def pairs(n: int, seed: int) -> EmbeddedPairs:
    """Two answers to each prompt; to every third prompt they end with `well`."""
    plain = texts(2 * n, seed)
    said = [f"{text} well" if (at // 2) % 3 == 0 else text for at, text in enumerate(plain)]
    at = np.arange(n)
    return EmbeddedPairs(said, embedded(said), np.repeat(at, 2), 2 * at, 2 * at + 1)


def test_planted_words_are_said_by_some_answers_and_not_by_all():
    found = planted_words(pairs(100, 0))
    assert found is not None
    paying, spurious = found
    assert len({*paying, spurious}) == 5
    assert {*paying, spurious} <= {*WORDS, "well"}, "all say so"
    same = ["so"] * 20
    at = np.arange(10)
    poor = EmbeddedPairs(same, normal(20, 2), np.repeat(at, 2), 2 * at, 2 * at + 1)
    assert planted_words(poor) is None


def test_the_spurious_word_marks_a_kind_of_prompt():
    found = planted_words(pairs(60, 0))
    assert found is not None
    assert found[1] == "well"
    assert "well" not in found[0]


def test_shuffled_texts_keep_their_words_and_short_ones_are_left_out():
    said = [*texts(20, 1), "so so"]
    found, at = shuffled(said, 0)
    assert at.tolist() == list(range(20))
    assert all(
        sorted(one.split()) == sorted(said[n].split()) for n, one in zip(at, found, strict=True)
    )
    assert found != said[:20]


@pytest.mark.slow
def test_detectors_find_what_was_planted_where_it_grew():
    fitted, held = pairs(1000, 0), pairs(300, 1)
    found = {one.name: one for one in detectors(fitted, held, lambda said, _: embedded(said), 10)}
    assert set(found) == {"distance", "boundary", "local error"}
    for name, least in (("distance", 0.75), ("boundary", 0.9), ("local error", 0.6)):
        one = found[name]
        assert one.auc is not None, one.reason
        assert one.auc.value > least, name
        assert one.auc.low < one.auc.value
        assert one.reason is None


@pytest.mark.slow
def test_a_detector_without_a_plant_has_no_figure_and_says_why():
    same = ["so"] * 60
    at = np.arange(30)
    poor = EmbeddedPairs(same, normal(60, 3), np.repeat(at, 2), 2 * at, 2 * at + 1)
    found = detectors(poor, poor, lambda said, _: normal(len(said), 3), 3)
    assert [one.auc for one in found] == [None, None, None]
    assert all(one.reason for one in found)
    blind = [replace(pairs(60, seed), embedded=normal(120, 3, seed=seed)) for seed in (2, 3)]
    row = {one.name: one for one in detectors(*blind, lambda s, _: normal(len(s), 3), 3)}
    assert row["local error"].auc is None, "heads that see nothing are not wrong there"


def test_a_detector_that_knows_is_not_beaten_and_one_that_knows_nothing_is_a_coin():
    high = np.arange(400) % 2 == 0
    cluster = np.arange(400) // 4
    known, coin = auc(high.astype(float), high, cluster), auc(np.zeros(400), high, cluster)
    assert known is not None
    assert coin is not None
    assert known.value == 1
    assert coin.value == 0.5
