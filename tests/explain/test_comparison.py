"""Audits side by side: apart means that intervals do not overlap."""

import pytest

from explain.comparison import (
    Compared,
    Interval,
    compared_aspects,
    compared_figures,
    compared_terms,
)
from explain.comparison_figures import MAX_ROWS, STYLES, forests
from tests.dashboard.samples import HOSTILE, aspect, audit_report, term


def test_an_audit_does_not_differ_from_itself():
    report = audit_report()
    for compared in (compared_figures, compared_terms, compared_aspects):
        rows = compared([report, report])
        assert rows
        assert not any(row.apart for row in rows)
        assert all(row.values[0] == row.values[1] for row in rows)


def test_terms_that_are_apart_come_first_then_the_heaviest():
    one = audit_report().model_copy(update={"terms": [term("a", 9.0), term("b", 1.0)]})
    other = one.model_copy(update={"terms": [term("b", -1.0), term("c", 2.0)]})
    rows = compared_terms([one, other])
    assert [row.name for row in rows] == ["b", "a", "c"]
    assert [row.apart for row in rows] == [True, False, False]
    assert rows[1].values[1] is None, "what is not reported is not worth 0"


@pytest.mark.parametrize(("low", "apart"), [(1.1, True), (1.0, False), (0.5, False)])
def test_intervals_that_touch_overlap(low: float, apart: bool):
    row = Compared("x", (Interval(0.5, 0.0, 1.0), None, Interval(2.0, low, 3.0)))
    assert row.apart == apart


def test_aspects_without_a_price_and_figures_that_nobody_measured_are_left_out():
    report = audit_report().model_copy(update={"aspects": [aspect("as long", None)]})
    assert compared_aspects([report]) == []
    bare = audit_report(filled=False)
    names = {row.name for row in compared_figures([bare])}
    assert not any("pairs ranked" in name for name in names)


def test_every_audit_has_its_marker_in_every_row_that_it_reports():
    rows = [
        Compared(HOSTILE, (Interval(1.0, 0.5, 2.0), Interval(-1.0, -2.0, -0.5))),
        Compared("y", (None, Interval(3.0, 2.0, 4.0))),
    ]
    figure = forests(rows, ["<b>one", "other"], "nats")
    one, other = figure.data
    assert (one.name, other.name) == ("&lt;b&gt;one", "other")
    assert list(one.x) == [1.0]
    assert list(other.x) == [-1.0, 3.0]
    assert list(other.error_x.array) == [0.5, 1.0]
    assert one.y[0] < 0 < other.y[0]
    assert "<img" not in "".join(figure.layout.yaxis.ticktext) + one.text[0]
    assert len(forests(rows * 40, ["a", "b"], "nats").layout.yaxis.ticktext) == MAX_ROWS
    assert len(set(STYLES)) == len(STYLES)
