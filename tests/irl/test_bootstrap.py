"""Intervals by cluster bootstrap: the unit is the cluster, the numbers are repeatable."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binomtest, norm, spearmanr

from irl.bootstrap import (
    codes,
    crossed_mean,
    crossed_means,
    draw_counts,
    from_sums,
    percentile_estimate,
    rank_correlation,
    ratio,
    share,
)
from irl.records import Estimate

Array = NDArray[np.float64]


def mean_of(
    values: Array, clusters: NDArray[np.int64], seed: int = 0, draws: int = 1000
) -> Estimate | None:
    columns = np.stack([values, np.ones_like(values)], axis=1)
    return from_sums(columns, clusters, ratio, seed=seed, draws=draws)


def clustered(seed: int, n_clusters: int, size: int) -> tuple[Array, NDArray[np.int64]]:
    """Values with mean 0: half of the variance belongs to the cluster, half to the row."""
    generator = np.random.default_rng(seed)
    clusters = np.repeat(np.arange(n_clusters), size)
    own, shared = generator.normal(size=n_clusters * size), generator.normal(size=n_clusters)
    return own + shared[clusters], clusters


def test_clusters_are_numbered_in_order_of_first_appearance():
    assert codes(["b", "a", "b", None, "a"]).tolist() == [0, 1, 0, 2, 1]
    assert codes([]).tolist() == []


def test_every_draw_takes_as_many_clusters_as_there_are():
    counts = draw_counts(7, 50, seed=3)
    assert counts.shape == (50, 7)
    assert (counts.sum(1) == 7).all()
    assert counts.mean(0) == pytest.approx(np.ones(7), abs=0.6)


@pytest.mark.slow
def test_the_interval_of_a_mean_is_the_normal_one_for_independent_rows():
    values = np.random.default_rng(0).normal(3.0, 2.0, size=400)
    found = mean_of(values, np.arange(400), draws=20_000)
    assert found is not None
    half = norm.ppf(0.975) * values.std() / np.sqrt(400)
    assert found.value == pytest.approx(values.mean())
    assert [found.low, found.high] == pytest.approx(
        [values.mean() - half, values.mean() + half], abs=0.05 * half
    )


def test_the_interval_of_a_mean_of_clusters_is_that_of_the_cluster_means():
    values, clusters = clustered(seed=1, n_clusters=200, size=6)
    found = mean_of(values, clusters)
    assert found is not None
    means = values.reshape(200, 6).mean(1)
    half = norm.ppf(0.975) * means.std() / np.sqrt(200)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.1)
    naive = norm.ppf(0.975) * values.std() / np.sqrt(len(values))
    assert (found.high - found.low) / 2 > 1.5 * naive


def test_repeating_every_row_of_a_cluster_changes_nothing():
    values, clusters = clustered(seed=2, n_clusters=30, size=3)
    once, often = mean_of(values, clusters), mean_of(values.repeat(5), clusters.repeat(5))
    assert once is not None
    assert often is not None
    assert [*often.model_dump().values()] == pytest.approx([*once.model_dump().values()])


def test_n_counts_clusters_and_not_rows():
    values, clusters = clustered(seed=3, n_clusters=11, size=4)
    found = mean_of(values, clusters)
    assert found is not None
    assert found.n == 11


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_fewer_than_two_clusters_give_no_estimate(rows: int):
    assert mean_of(np.ones(rows), np.zeros(rows, dtype=int)) is None


def test_an_undefined_value_gives_no_estimate():
    zeros = np.zeros((4, 2))
    assert from_sums(zeros, np.arange(4), ratio) is None
    assert percentile_estimate(np.nan, np.ones(5), 5) is None
    assert percentile_estimate(1.0, np.full(5, np.nan), 5) is None


def test_undefined_draws_are_left_out():
    drawn = np.array([np.nan, 1.0, 2.0, np.inf])
    assert percentile_estimate(1.5, drawn, 4) == Estimate(value=1.5, low=1.025, high=1.975, n=4)


@settings(deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20))
def test_the_value_lies_in_its_interval(values: list[float]):
    found = mean_of(np.array(values), np.arange(len(values)), draws=50)
    assert found is not None
    assert found.low <= found.value <= found.high


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others():
    values, clusters = clustered(seed=4, n_clusters=30, size=2)
    assert mean_of(values, clusters, seed=5) == mean_of(values, clusters, seed=5)
    assert mean_of(values, clusters, seed=5) != mean_of(values, clusters, seed=6)


@pytest.mark.parametrize("n", [2, 5, 40])
@pytest.mark.parametrize("successes", ["none", "all"])
def test_a_share_of_0_or_1_gets_the_exact_binomial_interval(n: int, successes: str):
    hits = n if successes == "all" else 0
    found = share(mean_of(np.full(n, float(hits > 0)), np.arange(n)))
    assert found is not None
    exact = binomtest(hits, n).proportion_ci(method="exact")
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high))
    assert found.n == n


def test_a_share_between_0_and_1_keeps_its_interval():
    found = mean_of(np.array([0.0, 1.0, 1.0, 1.0]), np.arange(4))
    assert share(found) == found
    assert share(None) is None


def test_the_rank_correlation_is_spearmans():
    generator = np.random.default_rng(6)
    first = generator.integers(0, 9, size=120).astype(float)
    second = first + generator.normal(0, 4, size=120).round()
    found = rank_correlation(first, second, np.arange(120) // 4)
    assert found is not None
    assert found.value == pytest.approx(spearmanr(first, second).statistic)
    assert found.n == 30
    assert found.low < found.value < found.high


def test_a_constant_has_no_rank_correlation():
    ramp, flat = np.arange(6.0), np.full(6, 0.1)
    assert rank_correlation(ramp, flat, np.arange(6)) is None
    assert rank_correlation(flat, ramp, np.arange(6)) is None
    assert rank_correlation(ramp[:0], ramp[:0], np.arange(0)) is None


def test_about_95_percent_of_the_intervals_cover_the_truth():
    repeats = 400
    found = [
        mean_of(*clustered(seed=100 + at, n_clusters=60, size=3), draws=300)
        for at in range(repeats)
    ]
    covered = [one is not None and one.low <= 0.0 <= one.high for one in found]
    assert 0.92 <= np.mean(covered) <= 0.98


def test_one_axis_drawn_again_is_the_plain_bootstrap():
    values = np.random.default_rng(0).normal(size=(40, 1))
    crossed = crossed_mean(values[:, 0])
    plain = from_sums(np.hstack([values, np.ones_like(values)]), np.arange(40), ratio)
    assert crossed is not None
    assert plain is not None
    assert (crossed.value, crossed.low, crossed.high) == pytest.approx(
        (plain.value, plain.low, plain.high)
    )


def test_a_crossed_table_has_the_variance_of_both_of_its_axes():
    generator = np.random.default_rng(1)
    rows, columns = generator.normal(0, 2, 30), generator.normal(0, 1, 50)
    drawn = crossed_means((rows[:, None] + columns)[..., None], draws=4000)[:, 0]
    assert drawn.var() == pytest.approx(rows.var() / 30 + columns.var() / 50, rel=0.1)
    assert crossed_mean(np.ones((3, 1))) is None, "one prompt has no interval"
    assert crossed_mean(np.ones((0, 5))) is None
