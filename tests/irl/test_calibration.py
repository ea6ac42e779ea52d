"""Calibration: exact odds are calibrated, sharpened ones are not, and no label knows the scale."""

import numpy as np
import pytest

from irl.evaluation.calibration import label_error, membership_error
from irl.records import Estimate


def value(estimate: Estimate | None) -> float:
    assert estimate is not None
    return estimate.value


def answers(prompts: int = 400, per_side: int = 4):
    """Answers with log-ratios as two normal policies give them: l = d z - d^2 / 2, exactly."""
    rng = np.random.default_rng(0)
    aligned = np.tile(np.repeat([True, False], per_side), prompts)
    prompt = np.repeat(np.arange(prompts), 2 * per_side)
    shift = rng.uniform(0.2, 2.0, prompts)[prompt]
    z = rng.normal(size=len(prompt)) + shift * aligned
    return shift * z - shift**2 / 2, aligned, prompt


def test_the_log_ratio_itself_gives_the_odds_of_who_wrote_what():
    log_ratio, aligned, prompt = answers()
    assert value(membership_error(log_ratio, aligned, prompt)) < 0.02


def test_a_sharpened_or_a_dulled_reward_does_not():
    log_ratio, aligned, prompt = answers()
    assert value(membership_error(3 * log_ratio, aligned, prompt)) > 0.08
    assert value(membership_error(0.2 * log_ratio, aligned, prompt)) > 0.08


def test_constants_of_prompts_change_nothing():
    log_ratio, aligned, prompt = answers(50)
    moved = log_ratio + np.random.default_rng(1).normal(size=50)[prompt]
    one, other = (membership_error(reward, aligned, prompt) for reward in (log_ratio, moved))
    assert value(one) == pytest.approx(value(other), abs=1e-9)


def pairs(scale: float, n: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Margins of the labelled side, labels by Bradley-Terry at that scale; each its own cluster."""
    rng = np.random.default_rng(2)
    margins = 3 * rng.normal(size=n)
    right = rng.random(n) < 1 / (1 + np.exp(-scale * margins))
    return np.where(right, margins, -margins), np.arange(n)


@pytest.mark.slow
@pytest.mark.parametrize("scale", [0.2, 1.0, 5.0])
def test_labels_by_bradley_terry_are_calibrated_whatever_the_scale(scale: float):
    margins, cluster = pairs(scale)
    assert value(label_error(margins, cluster)) < 0.03
    assert value(label_error(7 * margins, cluster)) == pytest.approx(
        value(label_error(margins, cluster)), abs=1e-6
    )


def test_a_score_that_ranks_in_reverse_or_says_nothing_has_no_odds():
    margins, cluster = pairs(1.0)
    assert label_error(-margins, cluster) is None
    _, aligned, prompt = answers(20)
    assert membership_error(np.zeros(len(prompt)), aligned, prompt) is None


@pytest.mark.slow
def test_labels_of_other_shape_than_the_score_show():
    margins, cluster = pairs(1.0)
    bent = np.sign(margins) * np.abs(margins) ** 3
    assert value(label_error(bent, cluster)) > value(label_error(margins, cluster)) + 0.02


def test_without_pairs_or_with_one_cluster_nothing_is_measured():
    none = np.empty(0)
    assert label_error(none, none.astype(np.int64)) is None
    assert label_error(np.ones(3), np.zeros(3, dtype=np.int64)) is None
    assert membership_error(np.ones(3), np.ones(3, dtype=bool), np.zeros(3, dtype=np.int64)) is None


def test_the_order_of_rows_has_no_say_where_odds_are_tied():
    log_ratio, aligned, prompt = answers(60)
    rounded = np.round(log_ratio)
    order = np.random.default_rng(3).permutation(len(prompt))
    one = membership_error(rounded, aligned, prompt)
    other = membership_error(rounded[order], aligned[order], prompt[order])
    assert value(one) == pytest.approx(value(other), abs=1e-9)
