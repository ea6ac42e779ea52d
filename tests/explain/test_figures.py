import pytest

from explain import figures
from explain.shading import CHARGED, PAID, QUIET
from irl.records import PositionKL, PromptCondition
from tests.dashboard.samples import HOSTILE, MARK, aspect, drift, term

GROUNDS = {"light": "#ffffff", "dark": "#191919"}


def luminance(colour: str) -> float:
    """WCAG 2 relative luminance of #rrggbb."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


def test_terms_carry_weight_interval_and_side():
    paid, charged = term("kind", 2.0, 0.5), term("rude", -3.0, 1.0)
    one, other = figures.terms_forest([paid, charged]).data
    assert (one.name, list(one.x), list(one.y)) == ("paid for", [2.0], [0])
    assert (other.name, list(other.x), list(other.y)) == ("charged for", [-3.0], [1])
    assert list(other.error_x.array) == [1.0]
    assert list(other.error_x.arrayminus) == [1.0]
    assert one.marker.color != other.marker.color
    assert one.marker.symbol != other.marker.symbol


def test_an_asymmetric_interval_keeps_its_ends():
    lopsided = term("kind", 2.0).model_copy(update={"low": 1.5, "high": 4.0})
    (trace,) = figures.terms_forest([lopsided]).data
    assert list(trace.error_x.arrayminus) == [0.5]
    assert list(trace.error_x.array) == [2.0]


def test_the_first_term_stands_on_top_and_the_rest_beyond_the_limit_is_left_out():
    figure = figures.terms_forest([term(f"t{at}", 1.0 + at) for at in range(5)], limit=3)
    assert list(figure.layout.yaxis.ticktext) == ["t0", "t1", "t2"]
    bottom, top = figure.layout.yaxis.range
    assert bottom > top
    assert len(figure.data[0].x) == 3


def test_no_terms_make_an_empty_figure():
    figure = figures.terms_forest([])
    assert len(figure.data) == 0
    assert list(figure.layout.yaxis.ticktext) == []


def test_the_hover_names_interval_occurrences_value_gained_and_condition():
    condition = PromptCondition(prompt_contains="weather")
    (trace,) = figures.terms_forest(
        [term("kind", 2.0).model_copy(update={"condition": condition})]
    ).data
    for part in ("+1.50 to +2.50", "40 occurrences", "value gained", "contains weather"):
        assert part in trace.text[0]


def test_aspects_are_drawn_by_what_a_standard_deviation_is_worth():
    figure = figures.aspects_forest(
        [aspect("length", 0.5, sd=4.0), aspect("tied", None, status="tied"), aspect("noise", 0.1)]
    )
    assert list(figure.layout.yaxis.ticktext) == ["length", "noise"]
    paid, undecided = figure.data
    assert (paid.name, list(paid.x), list(paid.error_x.array)) == ("paid for", [2.0], [1.0])
    assert (undecided.name, list(undecided.x)) == ("not told from 0", [0.2])
    assert "+0.500 nats per word (+0.250 to +0.750)" in paid.text[0]


def test_labels_hold_no_tag_and_no_control_character():
    figure = figures.terms_forest([term(HOSTILE + "\u202e\x00", 1.0)])
    json = figure.to_json()
    assert "<img" not in json
    assert "\\u003cimg" not in json
    assert "&lt;img" in figure.layout.yaxis.ticktext[0]
    assert MARK in figure.data[0].text[0]
    assert "\u202e" not in figure.data[0].text[0]


def test_long_labels_are_cut_before_they_are_escaped():
    assert figures.safe_label("<" * 9, limit=4) == "&lt;&lt;&lt;…"


def test_kl_by_position_carries_nats_and_counts():
    rows = drift().by_position
    kl, faint, reach = figures.kl_by_position(rows).data
    assert list(reach.x) == list(range(46))
    assert list(reach.y) == [row.n for row in rows]
    assert [*kl.x, *faint.x[1:]] == list(range(46))
    assert [*kl.y, *faint.y[1:]] == [row.kl_nats for row in rows]
    assert [*kl.customdata, *faint.customdata[1:]] == [row.n for row in rows]


def test_positions_that_few_answers_reach_are_faint():
    counts = [100, 60, 5, 4, 1]
    rows = [PositionKL(position=at, kl_nats=0.1, n=n) for at, n in enumerate(counts)]
    kl, faint, _ = figures.kl_by_position(rows).data
    assert list(kl.x) == [0, 1, 2]
    assert list(faint.x) == [2, 3, 4]
    assert faint.opacity < kl.opacity


def test_kl_by_position_takes_none_and_one():
    kl, reach = figures.kl_by_position([]).data
    assert list(kl.x) == list(reach.x) == []
    kl, reach = figures.kl_by_position([PositionKL(position=0, kl_nats=0.5, n=3)]).data
    assert (list(kl.y), list(reach.y)) == ([0.5], [3])


@pytest.mark.parametrize("ground", GROUNDS.values(), ids=GROUNDS.keys())
@pytest.mark.parametrize("colour", [PAID, CHARGED, QUIET])
def test_colours_stand_out_on_light_and_dark(colour: str, ground: str):
    assert contrast(colour, ground) >= 3  # WCAG 2, graphical objects
