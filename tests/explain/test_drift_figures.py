"""Figures of drift from what was counted."""

import pytest

from explain.drift_figures import (
    MAX_TOKENS,
    PromptPoint,
    ecdf,
    histogram,
    map_of_prompts,
    moved_groups,
    moved_tokens,
)
from irl.records import TokenMove
from tests.dashboard.samples import estimate


def test_a_histogram_shows_each_policys_shares():
    figure = histogram([0.0, 1.0, 2.0], {"aligned": [1, 3], "reference": [8, 0]})
    aligned, reference = figure.data
    assert list(aligned.y) == [0.25, 0.75, 0.0]
    assert list(reference.y) == [1.0, 0.0, 0.0]
    assert list(aligned.customdata) == [1, 3, 0]
    assert aligned.line.dash != reference.line.dash


def test_an_ecdf_rises_from_0_to_1():
    (one,) = ecdf([0.0, 0.5, 1.0], {"aligned": [-1.0, 0.0, 3.0]}).data
    assert list(zip(one.x, one.y, strict=True)) == [(-1.0, 0.0), (0.0, 0.5), (3.0, 1.0)]


def test_tokens_stand_by_how_far_they_moved_and_are_no_markup():
    tokens = [TokenMove(token=f"t{at}", mean_log_ratio_nats=0.1 * at, n=3) for at in range(1, 40)]
    tokens.append(TokenMove(token="<b>\n", mean_log_ratio_nats=-99.0, n=5))
    figure = moved_tokens(tokens)
    labels = figure.layout.yaxis.ticktext
    assert len(labels) == MAX_TOKENS
    assert labels[0].startswith("&lt;b&gt;")
    assert labels[1] == "t39"
    more, less = figure.data
    assert list(less.x) == [-99.0]
    assert less.customdata[0][1] == 5
    assert more.x[0] == pytest.approx(3.9)
    assert more.marker.symbol != less.marker.symbol


def test_groups_of_prompts_stand_with_their_intervals_and_are_no_markup():
    figure = moved_groups(["<b>x</b>", "all"], [estimate(1.0), estimate(-0.5)])
    (trace,) = figure.data
    assert list(trace.x) == [1.0, -0.5]
    assert list(trace.error_x.array) == pytest.approx([0.05, 0.05])
    assert not any("<" in label for label in figure.layout.yaxis.ticktext)
    assert not any("<" in about[0] for about in trace.customdata)


def test_the_map_is_neutral_at_nought_full_at_a_percentile_and_no_markup():
    points = [
        PromptPoint((float(at), -float(at)), "<img src=x>", (-1.0) ** at, 4, f"r{at}")
        for at in range(99)
    ]
    points.append(PromptPoint((0.5, 0.5), "odd", 1000.0, 4, "odd"))
    (trace,) = map_of_prompts(points).data
    assert (trace.marker.cmin, trace.marker.cmax) == pytest.approx((-1, 1))
    assert [place for place, _ in trace.marker.colorscale] == [0, 0.5, 1]
    assert list(trace.x[:3]) == [0, 1, 2]
    assert trace.customdata[7][0] == "r7"
    assert not any("<" in about[1] for about in trace.customdata)


def test_where_nothing_moved_the_map_still_has_a_scale():
    (trace,) = map_of_prompts([PromptPoint((0.0, 0.0), "p", 0.0, 1, "r")]).data
    assert trace.marker.cmax > 0
