"""Posteriors over more prompts: against closed forms, and whether they hold what they say."""

import numpy as np
import pytest
import torch

from irl.evaluation.contraction import MIN_PROMPTS, contraction, mode_of_rest
from irl.evaluation.identifiability import posterior_of
from irl.records import Contraction, Estimate
from irl.recovery.posterior import Gaussian, prior_of

Answers = tuple[np.ndarray, np.ndarray, np.ndarray]


def answers(
    rng: np.random.Generator, weights: np.ndarray, prompts: int = 240, pairs: int = 4
) -> Answers:
    """Pairs by Bradley-Terry: features, who wrote them, prompts. The winner is the aligned one."""
    both = rng.poisson(0.5, (prompts * pairs, 2, len(weights))).astype(float)
    odds = 1 / (1 + np.exp(-(both[:, 0] - both[:, 1]) @ weights))
    lost = rng.random(len(both)) > odds
    both[lost] = both[lost][:, ::-1]
    features = both.reshape(-1, len(weights))
    return features, np.tile([True, False], len(both)), np.repeat(np.arange(prompts), 2 * pairs)


def balanced(prompts: int) -> Answers:
    """One word, as often in the aligned answer of a pair as in the reference's: two pairs each."""
    features = np.tile([[1.0], [0.0], [0.0], [1.0]], (prompts, 1))
    return features, np.tile([True, False], 2 * prompts), np.repeat(np.arange(prompts), 4)


def rows(given: Answers, truth: np.ndarray | None = None, sd: float = 1.0) -> list[Contraction]:
    return contraction(*given, prior_sd_nats=sd, seed=0, truth=truth)


def values(found: list[Estimate | None]) -> list[float]:
    return [one.value for one in found if one is not None]


def test_the_posterior_of_balanced_pairs_is_known_exactly():
    """At weight 0 every pair adds p (1 - p) = 1/4 to the precision, which begins at 1 / sd^2."""
    found = rows(balanced(80), sd=2.0)
    assert [one.prompts for one in found] == [0, 10, 20, 40, 80]
    assert [one.parts for one in found] == [1, 8, 4, 2, 1]
    for one in found:
        variance = 1 / (1 / 4 + 2 * one.prompts / 4)
        assert one.trace == pytest.approx(variance)
        assert one.log_det == pytest.approx(np.log(variance))
        assert (one.trace_low, one.trace_high) == pytest.approx((variance, variance))


def test_variance_goes_as_one_over_the_number_of_prompts():
    given = answers(np.random.default_rng(1), np.array([0.5, -0.5, 0.0]), prompts=640)
    found = rows(given, sd=5.0)
    scaled = [one.trace * one.prompts for one in found[1:]]
    assert scaled == pytest.approx([scaled[-1]] * 4, rel=0.1)
    assert all(one.trace_low <= one.trace <= one.trace_high for one in found)


def test_all_prompts_have_the_posterior_of_the_report():
    given = answers(np.random.default_rng(2), np.array([1.0, 0.0]))
    whole = posterior_of(*given, 1.0)
    last = rows(given)[-1]
    assert last.trace == pytest.approx(float(whole.trace))
    assert last.log_det == pytest.approx(float(whole.log_det))


def test_what_a_part_says_of_the_rest_is_the_linear_gaussian_prediction():
    """m' = S' (L' w + noise of covariance L'), with w as the part leaves it."""
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(3, 3, generator=generator, dtype=torch.float64)
    told = root @ root.T + torch.eye(3)
    prior = prior_of(3, 0.7)
    rest = Gaussian(torch.zeros(3).double(), torch.linalg.inv(told + torch.eye(3) / 0.49))
    part = Gaussian(torch.tensor([1.0, -2.0, 0.5]).double(), 0.1 * root.T @ root)
    found = mode_of_rest(part, rest, prior)
    pull = rest.covariance @ told
    assert torch.allclose(found.mean, pull @ part.mean)
    noise = rest.covariance @ told @ rest.covariance
    assert torch.allclose(found.covariance, pull @ part.covariance @ pull.T + noise)


def test_a_coin_contracts_it_as_well():
    for one in rows(answers(np.random.default_rng(3), np.array([1.0, -1.0, 0.5])))[1:]:
        assert one.coin_trace < one.trace


def test_without_paid_weights_or_prompts_there_is_nothing():
    features, aligned, prompt = balanced(MIN_PROMPTS)
    assert rows((features[:, :0], aligned, prompt)) == []
    few = prompt < MIN_PROMPTS - 1
    assert rows((features[few], aligned[few], prompt[few])) == []
    assert [one.prompts for one in rows((features, aligned, prompt))] == [0, MIN_PROMPTS]


def test_coverage_of_one_weight_counts_parts_and_a_sure_share_has_an_exact_end():
    right, wrong = (rows(balanced(80), np.array([at])) for at in (0.0, 3.0))
    parts = [one.parts for one in right[1:] if one.truth_covered]
    assert parts == [8, 4, 2], "a single part of a single weight tells nothing"
    for one, other in zip(right[1:-1], wrong[1:-1], strict=True):
        assert one.truth_covered is not None
        assert (one.truth_covered.value, one.truth_covered.n) == (1.0, one.parts)
        assert one.truth_covered.low == pytest.approx(0.025 ** (1 / one.parts))
        assert values([other.truth_covered]) == [0.0]
    assert [one.covered is None for one in right] == [True, False, False, False, True]


@pytest.mark.slow_extra
def test_intervals_hold_as_often_as_they_say():
    """Forty sets of six weights: 240 of them, so 95 % +- three times 1.4 %."""
    rng = np.random.default_rng(4)
    weights = [rng.normal(0, 0.5, 6) for _ in range(40)]
    found = [rows(answers(rng, one, 160), truth=one, sd=0.5) for one in weights]
    for at in range(1, 5):
        planted = values([one[at].truth_covered for one in found])
        assert np.mean(planted) == pytest.approx(0.95, abs=0.042)
        said = values([one[at].covered for one in found])
        assert not said or np.mean(said) == pytest.approx(0.95, abs=0.042)


@pytest.mark.slow
def test_answers_that_are_copies_of_each_other_are_found_out():
    """Each pair stands there eight times over: intervals are too narrow by the root of eight."""
    rng, found = np.random.default_rng(5), []
    for _ in range(10):
        weights = rng.normal(0, 0.5, 6)
        features, _, _ = answers(rng, weights, 160, pairs=1)
        pairs = features.reshape(160, 1, 2, 6).repeat(8, axis=1).reshape(-1, 6)
        copied = pairs, np.tile([True, False], 160 * 8), np.repeat(np.arange(160), 16)
        found += values([one.covered for one in rows(copied, sd=0.5)])
    assert np.mean(found) < 0.75
