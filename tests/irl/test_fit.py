"""How well a recovered reward stands in for the log-ratio."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import spearmanr

from irl.evaluation.fit import explained_r2, explained_sd_nats, fit
from irl.within import centred

Array = NDArray[np.float64]


def sampled(
    n_prompts: int = 20, size: int = 8, seed: int = 0
) -> tuple[Array, Array, NDArray[np.bool_], NDArray[np.int64]]:
    """A prediction, a log-ratio that it explains in part, the sources and the prompts."""
    generator = np.random.default_rng(seed)
    prompt = np.repeat(np.arange(n_prompts), size)
    aligned = np.tile(np.arange(size) < size // 2, n_prompts)
    predicted = generator.integers(-8, 9, size=len(prompt)) / 8 + aligned / 2
    return predicted, predicted + generator.normal(size=len(prompt)), aligned, prompt


def test_a_perfect_prediction_explains_everything():
    _, log_ratio, aligned, prompt = sampled()
    found = fit(log_ratio, log_ratio, aligned, prompt)
    assert found.r2 is not None
    assert (found.r2.value, found.r2.low, found.r2.high, found.r2.n) == (1, 1, 1, 20)
    assert found.spearman_with_log_ratio is not None
    assert found.spearman_with_log_ratio.value == pytest.approx(1)


def test_the_zero_prediction_explains_nothing_and_ranks_nothing():
    _, log_ratio, aligned, prompt = sampled()
    found = fit(np.zeros_like(log_ratio), log_ratio, aligned, prompt)
    assert found.r2 is not None
    assert (found.r2.value, found.r2.low, found.r2.high) == (0, 0, 0)
    assert found.membership_auc is not None
    assert found.membership_auc.value == 0.5
    assert found.spearman_with_log_ratio is None


def test_a_prediction_of_the_wrong_sign_is_worse_than_none():
    _, log_ratio, _, prompt = sampled()
    y = centred(log_ratio, prompt)
    found = explained_r2(-y, y, prompt)
    assert found is not None
    assert found.value == pytest.approx(1 - 4)


def test_r2_is_the_share_of_the_within_prompt_variance():
    predicted, log_ratio, aligned, prompt = sampled()
    found = fit(predicted, log_ratio, aligned, prompt)
    x, y = centred(predicted, prompt), centred(log_ratio, prompt)
    assert found.r2 is not None
    assert found.r2.value == pytest.approx(1 - ((y - x) ** 2).sum() / (y**2).sum())
    assert found.spearman_with_log_ratio is not None
    ranked = spearmanr(x.round(9), y.round(9)).statistic
    assert found.spearman_with_log_ratio.value == pytest.approx(ranked)


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(-(2**12), 2**12), min_size=20, max_size=20), st.booleans())
def test_constants_of_the_prompts_change_nothing(constants: list[int], of_the_log_ratio: bool):
    predicted, log_ratio, aligned, prompt = sampled()
    log_ratio = np.round(64 * log_ratio) / 64
    before = fit(predicted, log_ratio, aligned, prompt)
    shift = np.array(constants, dtype=float)[prompt]
    if of_the_log_ratio:
        after = fit(predicted, log_ratio + shift, aligned, prompt)
    else:
        after = fit(predicted + shift, log_ratio, aligned, prompt)
    for name in ("membership_auc", "r2", "spearman_with_log_ratio"):
        one, other = getattr(before, name), getattr(after, name)
        assert [*other.model_dump().values()] == pytest.approx([*one.model_dump().values()]), name


def test_a_reward_that_differs_only_between_prompts_is_constant():
    _, log_ratio, aligned, prompt = sampled()
    found = fit(0.1 * prompt, log_ratio, aligned, prompt)
    assert found.spearman_with_log_ratio is None
    assert found.r2 is not None
    assert found.r2.value == 0


@pytest.mark.parametrize("size", [2, 4, 8])
def test_the_explained_sd_is_not_shrunk_by_centring(size: int):
    """Of k values the centred ones have (k - 1) / k of the variance: corrected."""
    prompt = np.repeat(np.arange(4000), size)
    reward = np.random.default_rng(size).normal(0, 1.7, size=len(prompt))
    found = explained_sd_nats(centred(reward, prompt), prompt)
    assert found is not None
    assert found.low < 1.7 < found.high
    assert found.value == pytest.approx(1.7, rel=0.02)


def test_the_explained_sd_is_right_for_prompts_of_unequal_size():
    generator = np.random.default_rng(0)
    prompt = np.repeat(np.arange(3000), generator.integers(1, 6, size=3000))
    reward = generator.normal(0, 0.8, size=len(prompt))
    found = explained_sd_nats(centred(reward, prompt), prompt)
    assert found is not None
    assert found.value == pytest.approx(0.8, rel=0.03)


def test_single_answers_say_nothing_about_the_movement_within_prompts():
    prompt = np.arange(5)
    assert explained_sd_nats(centred(np.arange(5.0), prompt), prompt) is None


def test_one_prompt_gives_no_figure():
    _, log_ratio, aligned, prompt = sampled(n_prompts=1)
    found = fit(log_ratio, log_ratio, aligned, prompt)
    assert (found.membership_auc, found.r2, found.spearman_with_log_ratio) == (None, None, None)


def test_identical_checkpoints_leave_nothing_to_explain():
    predicted, _, aligned, prompt = sampled()
    found = fit(predicted, np.zeros(len(prompt)), aligned, prompt)
    assert found.r2 is None
    assert found.spearman_with_log_ratio is None
