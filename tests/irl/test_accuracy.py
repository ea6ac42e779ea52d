"""Agreement with labels: only differences within a prompt count, and only their order."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import norm, spearmanr
from sklearn.metrics import roc_auc_score

from irl.bootstrap import DRAWS, draw_counts
from irl.evaluation.accuracy import (
    Labels,
    accuracy,
    auc,
    couples,
    graded_correlation,
    length_controlled,
    preference,
)
from irl.evaluation.auc import grouped_auc
from irl.records import Estimate
from irl.within import centred

Array = NDArray[np.float64]
Codes = NDArray[np.int64]


def paired(n_prompts: int, pairs_per_prompt: int = 1, seed: int = 0) -> Labels:
    """Pairs of a chosen and a rejected response; lengths are independent of the labels."""
    n = n_prompts * pairs_per_prompt
    pair = np.repeat(np.arange(n), 2)
    prompt = pair // pairs_per_prompt
    return Labels(
        source="test",
        label=np.tile([1.0, 0.0], n),
        prompt=prompt,
        pair=pair,
        cluster=prompt,
        length=np.random.default_rng(seed).integers(5, 50, size=2 * n).astype(float),
    )


def graded(n_prompts: int, size: int, seed: int = 0) -> Labels:
    """Responses with grades 0 to 4, without pairs."""
    generator = np.random.default_rng(seed)
    prompt = np.repeat(np.arange(n_prompts), size)
    n = len(prompt)
    return Labels(
        source="test",
        label=generator.integers(0, 5, size=n).astype(float),
        prompt=prompt,
        pair=np.full(n, -1),
        cluster=prompt,
        length=generator.integers(5, 50, size=n).astype(float),
    )


def noisy(labels: Labels, size: float = 1.0, seed: int = 1) -> Array:
    """Scores that know the labels, on a grid of eighths so that shifts keep ties exact."""
    noise = np.random.default_rng(seed).normal(0, size, size=len(labels.label))
    scores: Array = np.round(8 * (labels.label + noise)) / 8
    return scores


def slow_auc(scores: Array, high: NDArray[np.bool_], group: Codes) -> float:
    """Every couple of a high and a low response of the same group, one by one."""
    wins, total = 0.0, 0
    for one, other in product(np.flatnonzero(high), np.flatnonzero(~high)):
        if group[one] == group[other]:
            total += 1
            difference = scores[one] - scores[other]
            wins += 1.0 if difference > 0 else 0.5 if difference == 0 else 0.0
    return wins / total


def ordered_share(scores: Array, high: NDArray[np.bool_], group: Codes) -> float:
    """The same, by one matrix of couples: for a thousand draws."""
    couple = high[:, None] & ~high[None, :] & (group[:, None] == group[None, :])
    difference = np.sign(scores[:, None] - scores[None, :])
    return float(((difference + 1) / 2)[couple].mean())


def ends(estimate: Estimate | None) -> list[float]:
    assert estimate is not None
    return [estimate.value, estimate.low, estimate.high]


@pytest.mark.slow
@pytest.mark.parametrize("labels", [paired(12, 2), graded(10, 6)], ids=["pairs", "grades"])
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_no_figure_changes_under_a_scale_and_constants_of_the_prompts(
    labels: Labels, data: st.DataObject
):
    scores = noisy(labels)
    scale = data.draw(st.sampled_from([0.125, 0.5, 1.0, 4.0, 1024.0]))
    whole = st.integers(-(2**16), 2**16)
    n_prompts = int(labels.prompt.max()) + 1
    constant = np.array(data.draw(st.lists(whole, min_size=n_prompts, max_size=n_prompts)))
    moved = scale * scores + constant[labels.prompt]
    before = accuracy("recovered", scores, labels).model_dump()
    after = accuracy("recovered", moved, labels).model_dump()
    for name in ("preference", "auc", "spearman"):
        assert after[name] == before[name], name
    if before["length_controlled"] is not None:
        assert after["length_controlled"] == pytest.approx(before["length_controlled"])


def test_the_sign_of_a_score_says_nothing():
    labels = paired(20)
    scores = noisy(labels, size=0.1)
    below = scores - scores.max() - 1.0
    assert (below < 0).all()
    assert ends(preference(below, labels)) == ends(preference(scores, labels))
    value = preference(below, labels)
    assert value is not None
    assert value.value == 1.0


def test_ties_count_one_half():
    labels = paired(8, 2)
    constant = np.full(len(labels.label), 0.7)
    assert ends(preference(constant, labels)) == [0.5, 0.5, 0.5]
    assert ends(auc(constant, labels)) == [0.5, 0.5, 0.5]
    one_tie = noisy(labels, size=0.01)
    one_tie[1] = one_tie[0]
    found = preference(one_tie, labels)
    assert found is not None
    assert found.value == (15 + 0.5) / 16


@pytest.mark.parametrize("figure", [preference, auc])
def test_the_reversed_score_gets_the_mirrored_figure(figure):
    labels = paired(30, 2)
    scores = noisy(labels)
    ahead, behind = figure(scores, labels), figure(-scores, labels)
    assert behind.value == pytest.approx(1 - ahead.value)
    assert (behind.low, behind.high) == pytest.approx((1 - ahead.high, 1 - ahead.low))


def test_preference_of_a_perfect_score_is_1_with_an_honest_lower_end():
    labels = paired(10)
    found = preference(labels.label, labels)
    assert found is not None
    assert (found.value, found.high, found.n) == (1.0, 1.0, 10)
    assert found.low == pytest.approx(0.025 ** (1 / 10))


def test_preference_counts_prompts_and_not_pairs():
    labels = paired(6, 5)
    found = preference(noisy(labels), labels)
    assert found is not None
    assert found.n == 6


def test_a_group_of_responses_gives_every_couple_of_a_better_and_a_worse_one():
    label = np.array([0.0, 1.0, 1.0, 0.0, 1.0, 0.5])
    pair = np.array([3, 3, 3, 7, 7, -1])
    better, worse = couples(pair, label)
    assert set(zip(better.tolist(), worse.tolist(), strict=True)) == {(1, 0), (2, 0), (4, 3)}


def test_the_auc_of_a_single_group_is_the_ordinary_auc():
    generator = np.random.default_rng(0)
    high = generator.random(80) < 0.4
    scores = (high + generator.normal(0, 1.5, 80)).round(1)
    found = grouped_auc(scores, high, np.zeros(80, dtype=int), np.arange(80))
    assert found is not None
    assert found.value == pytest.approx(roc_auc_score(high, scores))
    assert found.n == 80


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_the_grouped_auc_is_the_share_of_couples_that_are_ranked_right(data: st.DataObject):
    n = data.draw(st.integers(4, 24))
    rows = st.tuples(st.booleans(), st.integers(0, 4), st.integers(-3, 3))
    high, group, scores = map(
        np.array, zip(*data.draw(st.lists(rows, min_size=n, max_size=n)), strict=True)
    )
    shared = {g for g in group if high[group == g].any() and (~high[group == g]).any()}
    found = grouped_auc(scores.astype(float), high, group, np.arange(n))
    if not shared:
        assert found is None
        return
    assert found is not None
    assert found.value == pytest.approx(slow_auc(scores, high, group))


def again(clusters: Codes, counts: Array) -> tuple[Codes, Codes]:
    """The rows of a bootstrap draw, cluster after cluster, and the number of each row's copy."""
    rows, copies = [], []
    drawn = np.repeat(np.arange(len(counts)), counts.astype(int))
    for copy, cluster in enumerate(drawn):
        own = np.flatnonzero(clusters == cluster)
        rows.append(own)
        copies.append(np.full(len(own), copy))
    return np.concatenate(rows), np.concatenate(copies)


def test_a_prompt_drawn_twice_counts_as_two_prompts():
    generator = np.random.default_rng(1)
    prompt = np.repeat(np.arange(9), 8)
    high = generator.random(72) < 0.5
    scores = (high + generator.normal(0, 2, 72)).round(1)
    values = []
    for counts in draw_counts(9, DRAWS, seed=4):
        rows, copies = again(prompt, counts)
        values.append(ordered_share(scores[rows], high[rows], copies))
    found = grouped_auc(scores, high, prompt, prompt, seed=4)
    assert ends(found)[1:] == pytest.approx(np.quantile(values, [0.025, 0.975]))


def test_where_all_share_the_empty_prompt_a_row_drawn_twice_meets_all_others_twice():
    generator = np.random.default_rng(2)
    high = generator.random(30) < 0.5
    scores = (high + generator.normal(0, 2, 30)).round(1)
    group, row = np.zeros(30, dtype=int), np.arange(30)
    values = []
    for counts in draw_counts(30, DRAWS, seed=4):
        rows, _ = again(row, counts)
        values.append(ordered_share(scores[rows], high[rows], group))
    found = grouped_auc(scores, high, group, row, seed=4)
    assert ends(found)[1:] == pytest.approx(np.quantile(values, [0.025, 0.975]))


@pytest.mark.slow_extra
@pytest.mark.parametrize("prompts", ["own", "empty"])
def test_about_95_percent_of_the_intervals_of_the_auc_cover_the_truth(prompts: str):
    """High rows score N(1/2, 1) + their prompt's effect N(0, 1), low rows N(0, 1)."""
    truth = norm.cdf(0.5 / np.sqrt(3 if prompts == "own" else 2))
    covered = []
    for seed in range(200):
        generator = np.random.default_rng(seed)
        prompt = np.repeat(np.arange(40), 8)
        high = np.tile(np.arange(8) < 4, 40)
        scores = high * 0.5 + generator.normal(size=320)
        if prompts == "own":
            scores += high * generator.normal(size=40)[prompt]
            found = grouped_auc(scores, high, prompt, prompt)
        else:
            found = grouped_auc(scores, high, np.zeros(320, dtype=int), np.arange(320))
        assert found is not None
        covered.append(found.low <= truth <= found.high)
    assert 0.90 <= np.mean(covered) <= 0.985


@pytest.mark.parametrize("figure", ["no rows", "one cluster", "only high", "no shared group"])
def test_without_couples_or_with_one_cluster_there_is_no_auc(figure: str):
    scores, high = np.arange(4.0), np.array([True, False, True, False])
    group, cluster = np.zeros(4, dtype=int), np.arange(4)
    match figure:
        case "no rows":
            found = grouped_auc(scores[:0], high[:0], group[:0], cluster[:0])
        case "one cluster":
            found = grouped_auc(scores, high, group, group)
        case "only high":
            found = grouped_auc(scores, np.ones(4, dtype=bool), group, cluster)
        case _:
            found = grouped_auc(scores, high, np.arange(4), cluster)
    assert found is None


def test_a_score_that_is_only_length_is_worth_nothing_once_length_is_controlled():
    labels = paired(200)
    longer_is_better = replace(labels, length=labels.length + 10 * labels.label)
    scores = 0.3 * longer_is_better.length
    before = preference(scores, longer_is_better)
    after = length_controlled(scores, longer_is_better)
    assert before is not None
    assert after is not None
    assert before.low > 0.55
    assert after.value == 0.5


def test_controlling_for_length_keeps_a_score_that_has_nothing_to_do_with_it():
    labels = paired(400)
    scores = noisy(labels, size=0.5)
    before, after = preference(scores, labels), length_controlled(scores, labels)
    assert before is not None
    assert after is not None
    assert after.value == pytest.approx(before.value, abs=0.02)


def test_controlling_for_length_reveals_a_score_that_length_had_hidden():
    labels = paired(200)
    shorter_is_better = replace(labels, length=labels.length - 40 * labels.label)
    scores = labels.label + 0.05 * shorter_is_better.length
    before = preference(scores, shorter_is_better)
    after = length_controlled(scores, shorter_is_better)
    assert before is not None
    assert after is not None
    assert before.value < 0.3
    assert after.value > before.value


def test_pairs_of_equal_length_need_no_control():
    labels = replace(paired(20), length=np.full(40, 7.0))
    scores = noisy(labels)
    assert length_controlled(scores, labels) == preference(scores, labels)


def test_graded_labels_are_compared_within_the_prompt():
    labels = graded(25, 6)
    scores = noisy(labels, size=2)
    found = graded_correlation(scores, labels)
    assert found is not None
    x, y = centred(scores, labels.prompt), centred(labels.label, labels.prompt)
    assert found.value == pytest.approx(spearmanr(x.round(9), y.round(9)).statistic)
    per_prompt = np.random.default_rng(0).integers(-50, 50, 25)[labels.prompt]
    shifted = replace(labels, label=labels.label + per_prompt)
    assert graded_correlation(scores, shifted) == found


def test_figures_without_their_kind_of_labels_are_null():
    two_grades = accuracy("log_ratio", noisy(paired(9)), paired(9))
    assert two_grades.spearman is None
    many_grades = accuracy("log_ratio", noisy(graded(9, 4)), graded(9, 4))
    assert many_grades.preference is None
    assert many_grades.auc is None
    assert many_grades.length_controlled is None
    assert two_grades.ece is not None
    assert many_grades.ece is None


def test_one_pair_is_one_cluster_and_gives_no_figure():
    labels = paired(1)
    found = accuracy("log_ratio", labels.label, labels)
    assert (found.preference, found.auc, found.length_controlled) == (None, None, None)


def test_no_labelled_response_gives_no_figure():
    none = np.empty(0, dtype=int)
    labels = Labels("test", np.empty(0), none, none, none, np.empty(0))
    found = accuracy("log_ratio", np.empty(0), labels)
    assert (found.preference, found.auc, found.spearman, found.length_controlled) == (None,) * 4
