"""Figures of accuracy from what was counted."""

from explain.accuracy_figures import right_by_length, roc
from tests.dashboard.samples import estimate


def test_every_curve_starts_at_nothing_and_stands_beside_chance():
    chance, one, other = roc({"a": ([0.5, 1.0], [0.9, 1.0]), "b": ([1.0], [1.0])}).data
    assert list(chance.x) == list(chance.y)
    assert list(zip(one.x, one.y, strict=True)) == [(0, 0), (0.5, 0.9), (1, 1)]
    assert one.line.dash != other.line.dash


def test_shares_by_length_have_their_intervals_and_empty_bins_are_left_out():
    (line,) = right_by_length(["short", "same", "long"], {"a": [estimate(0.6), None, None]}).data
    assert list(line.x) == ["short"]
    assert list(line.error_y.array) == [estimate(0.6).high - 0.6]
    assert line.customdata[0][2] == 64
