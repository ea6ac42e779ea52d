"""Figures of accuracy from what was counted."""

import pytest

from explain.accuracy_figures import right_by_group, right_by_length, roc
from tests.dashboard.samples import HOSTILE, estimate


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


def test_groups_are_rows_with_both_scores_in_each_and_their_labels_are_text():
    lines = {"a": [estimate(0.6), None], "b": [estimate(0.7), estimate(0.8)]}
    drawn = right_by_group(["one", HOSTILE], lines)
    first, second = drawn.data
    assert (list(first.x), list(second.x)) == ([0.6], [0.7, 0.8])
    assert first.y[0] < 0 < second.y[0], "beside each other"
    assert list(second.error_x.array) == pytest.approx([0.05, 0.05])
    assert [row[2] for row in second.customdata] == [64, 64]
    assert "<img" not in drawn.to_json()
