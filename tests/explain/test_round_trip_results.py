"""The table of the round trip: what is kept at equal KL."""

import numpy as np
import pytest

from explain.jobs.result_rows import Measured
from explain.jobs.round_trip_results import _rows_of, _Trip
from irl.rlhf.frontier import frontier

BOUND = frontier([np.random.default_rng(0).normal(size=4000)])


def test_a_policy_on_the_frontier_keeps_all_at_whatever_kl_it_ends():
    trip = _Trip((BOUND.at(1.0), 1.0), (BOUND.at(0.4), 0.4), BOUND)
    assert trip.shares == pytest.approx((1, 1))
    assert trip.kept == pytest.approx(1)


def test_where_the_frontier_does_not_reach_nothing_is_said():
    far = _Trip((9.0, 50.0), (9.0, 50.0), BOUND)
    assert far.kept is None
    rows = {(row.method, row.metric): row for row in _rows_of(Measured("x", [0]), [far])}
    assert rows["round trip", "kept at equal KL"].estimate is None
    assert rows["true reward", "KL"].estimate is not None


def test_half_the_gain_at_the_same_kl_is_half_kept():
    trip = _Trip((0.8, 1.0), (0.4, 1.0), BOUND)
    assert trip.kept == pytest.approx(0.5)
    rows = {(row.method, row.metric): row for row in _rows_of(Measured("x", [0, 1]), [trip, trip])}
    kept = rows["round trip", "kept at equal KL"].estimate
    assert kept is not None
    assert (kept.value, kept.n) == (pytest.approx(0.5), 2)
