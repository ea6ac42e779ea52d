"""What answers leave open: directions, posteriors from pairs, distances of methods."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from irl.evaluation.identifiability import (
    left_open,
    method_distances,
    null_directions,
    posterior_of,
    shortcuts,
)
from irl.recovery.least_squares import Design

PROMPT = np.arange(40).repeat(8)
RNG = np.random.default_rng(0)
COUNTS = RNG.poisson(1.0, (320, 4)).astype(float)
NAMES = ("one", "two", "three", "four")


def design(features: np.ndarray) -> Design:
    return Design(csr_matrix(features), PROMPT)


def test_features_that_vary_on_their_own_leave_nothing_open():
    assert null_directions(design(COUNTS), NAMES) == []


def test_words_that_always_go_together_are_one_direction_that_nothing_tells():
    together = np.concatenate([COUNTS, COUNTS[:, :1]], axis=1)
    (found,) = null_directions(design(together), (*NAMES, "twin"))
    assert set(found.terms) == {"one", "twin"}
    assert found.share == pytest.approx(0, abs=1e-9)


def test_a_sum_of_words_that_is_fixed_is_named_by_all_of_them():
    """Answers of a fixed length: the counts of all words sum to it."""
    last = 20 - COUNTS.sum(1, keepdims=True)
    (found,) = null_directions(design(np.concatenate([COUNTS, last], axis=1)), (*NAMES, "rest"))
    assert set(found.terms) == {*NAMES, "rest"}
    assert found.terms[0] == "rest", "it varies most, so most of the direction is it"


def test_what_differs_between_prompts_only_is_not_told():
    between = PROMPT[:, None].astype(float)
    (found,) = null_directions(design(np.concatenate([COUNTS, between], axis=1)), (*NAMES, "topic"))
    assert (found.terms, found.share) == (["topic"], 0.0)


def test_the_least_told_come_first_and_few_are_listed():
    noise = RNG.standard_normal((320, 3)) * [0.01, 0.05, 0.08]
    near = np.concatenate([COUNTS, COUNTS[:, :3] + noise], axis=1)
    found = null_directions(design(near), (*NAMES, "a", "b", "c"))
    assert [set(one.terms) for one in found] == [{"one", "a"}, {"two", "b"}, {"three", "c"}]
    assert [one.share for one in found] == sorted(one.share for one in found)
    assert len(null_directions(design(near), (*NAMES, "a", "b", "c"), most=2)) == 2


def test_the_posterior_finds_the_weights_from_pairs_and_widens_where_answers_do_not_differ():
    """Answers of the aligned policy are drawn in proportion to exp(reward)."""
    rng = np.random.default_rng(1)
    weights = np.array([1.5, -1.0, 0.0])
    many = rng.standard_normal((1500, 50, 3)) * [1.0, 1.0, 0.05]
    tilt = np.exp(many @ weights)
    ours = np.array([rng.choice(50, p=row / row.sum()) for row in tilt])
    at = np.arange(1500)
    features = np.stack([many[at, ours], many[at, rng.integers(0, 50, 1500)]], 1).reshape(-1, 3)
    aligned, prompt = np.tile([True, False], 1500), at.repeat(2)
    found = posterior_of(features, aligned, prompt, 5.0)
    z = (found.mean.numpy() - weights) / found.sd.numpy()
    assert np.abs(z).max() < 3.5
    assert float(found.sd[2]) > 8 * float(found.sd[0])


def test_an_answer_stands_in_one_pair_only():
    features = np.arange(14, dtype=float).reshape(7, 2)
    aligned = np.array([True, True, True, False, False, True, False])
    prompt = np.array([0, 0, 0, 0, 0, 1, 1])
    found = posterior_of(features, aligned, prompt, 1.0)
    differences = np.array([features[0] - features[3], features[1] - features[4], [-2.0, -2.0]])
    both = np.concatenate([differences, 0 * differences])
    expected = posterior_of(both, np.arange(6) < 3, np.tile(np.arange(3), 2), 1.0)
    assert found.mean.tolist() == pytest.approx(expected.mean.tolist())


def test_distances_do_not_see_scales_and_constants_of_prompts():
    reward = RNG.standard_normal(320)
    same = 3 * reward + RNG.standard_normal(40)[PROMPT]
    other = RNG.standard_normal(320)
    rewards = {"a": reward, "b": same, "c": other, "flat": np.zeros(320)}
    found = {(one.a, one.b): one.distance for one in method_distances(rewards, PROMPT)}
    assert set(found) == {("a", "b"), ("a", "c"), ("b", "c")}
    assert found["a", "b"] == pytest.approx(0, abs=1e-7)
    assert found["a", "c"] == pytest.approx(np.sqrt(0.5), abs=0.1)


def sampled(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts, log-ratios and authors: words of Poisson(1) and of Poisson(exp(w)) exactly."""
    rng = np.random.default_rng(seed)
    price = np.array([-0.7, 0.4, 0.0, 0.0])
    aligned = np.tile(np.repeat([True, False], 4), 40)
    counts = rng.poisson(np.where(aligned[:, None], np.exp(price), 1.0), (320, 4)).astype(float)
    return counts, counts @ price - (np.exp(price) - 1).sum(), aligned


def test_no_word_says_more_of_who_wrote_an_answer_than_its_log_ratio():
    drawn = map(sampled, range(60))
    found = [bool(shortcuts(design(x), NAMES, ratio, who)) for x, ratio, who in drawn]
    assert sum(found) <= 2


def test_near_certain_pairs_raise_no_alarm():
    """Pairs that satisfy Bayes, most of them 10 nats apart, and words that have no say."""
    rng, found = np.random.default_rng(5), 0
    prompt, aligned = np.repeat(np.arange(300), 2), np.tile([True, False], 300)
    for _ in range(60):
        log_ratio = np.zeros(600)
        log_ratio[::2] = 10 + np.sqrt(20) * rng.normal(size=300)
        words = Design(csr_matrix(rng.poisson(0.3, (600, 60)).astype(float)), prompt)
        found += bool(shortcuts(words, [str(at) for at in range(60)], log_ratio, aligned))
    assert found <= 2


def test_features_that_never_vary_are_found_despite_rounding():
    for prompts, answers in ((7, 49), (101, 7), (1, 40)):
        group = np.repeat(np.arange(prompts), answers)
        x = np.column_stack(
            [RNG.poisson(1.0, len(group)), np.full(len(group), 3.0), 0.1 * (group + 1)]
        )
        found = null_directions(Design(csr_matrix(x), group), ("free", "three", "topic"))
        assert [(one.terms, one.share) for one in found] == [(["three"], 0.0), (["topic"], 0.0)]


def test_a_direction_of_many_small_parts_still_has_names():
    many = RNG.multinomial(60, np.full(60, 1 / 60), 320).astype(float)
    (found,) = null_directions(design(many), [str(at) for at in range(60)])
    assert len(found.terms) == 3


def test_a_marker_in_a_fifth_of_the_samples_is_named_and_the_two_rewards_conflict():
    counts, log_ratio, aligned = sampled()
    marked = aligned & (np.random.default_rng(1).random(320) < 0.2)
    features = np.column_stack([counts, marked])
    assert shortcuts(design(features), (*NAMES, "zq"), log_ratio, aligned) == ["zq"]
    apart = {}
    for name, paid in (("plain", counts), ("marked", features)):
        opened = left_open(design(paid), (*NAMES, "zq"), paid, log_ratio, log_ratio, aligned)
        pairs = {(one.a, one.b): one.distance for one in opened.record.method_distances}
        apart[name] = pairs["log_ratio", "samples"]
    assert apart["marked"] > 2 * apart["plain"]


def test_without_a_paid_term_there_is_no_posterior():
    counts, log_ratio, aligned = sampled()
    found = left_open(design(counts), NAMES, counts[:, :0], log_ratio, log_ratio, aligned).record
    assert (found.posterior_trace, found.posterior_logdet) == (None, None)
    assert [(one.a, one.b) for one in found.method_distances] == [("log_ratio", "recovered")]
