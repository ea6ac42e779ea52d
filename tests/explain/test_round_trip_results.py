"""The table of the round trip: what is kept at equal KL, and how the reward drifts."""

import numpy as np
import pytest

from explain.jobs.result_rows import Measured
from explain.jobs.round_trip_results import _End, _Round, _rows_of, _Trip
from irl.rlhf.frontier import frontier

BOUND = frontier([np.random.default_rng(0).normal(size=4000)])


def trip(taught: _End, *backs: _End, slope: float = 1.0) -> _Trip:
    return _Trip(taught, tuple(_Round(back, 1.0, slope) for back in backs), BOUND)


def test_a_policy_on_the_frontier_keeps_all_at_whatever_kl_it_ends():
    one = trip(_End(BOUND.at(1.0), 1.0), _End(BOUND.at(0.4), 0.4))
    assert one.share(one.taught) == pytest.approx(1)
    assert one.kept(0) == pytest.approx(1)


def test_where_the_frontier_does_not_reach_nothing_is_said():
    far = trip(_End(9.0, 50.0), _End(9.0, 50.0))
    assert far.kept(0) is None
    rows = {(row.method, row.metric): row for row in _rows_of(Measured("x", [0]), [far])}
    assert rows["round 1", "kept at equal KL"].estimate is None
    assert rows["true reward", "KL"].estimate is not None


def test_every_round_is_held_against_the_policy_that_was_taught():
    one = trip(_End(0.8, 1.0), _End(0.4, 1.0), _End(0.2, 1.0))
    rows = {(row.method, row.metric): row for row in _rows_of(Measured("x", [0, 1]), [one, one])}
    for method, share in (("round 1", 0.5), ("round 2", 0.25)):
        kept = rows[method, "kept at equal KL"].estimate
        assert kept is not None
        assert (kept.value, kept.n) == (pytest.approx(share), 2)
