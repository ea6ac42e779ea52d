"""Figures of trust and of choices: every interval is drawn, colours are told by shape too."""

import pytest

from explain.trust_figures import categories, plane_of_groups, regrets
from irl.records import ChoiceFigures, TriageCounts, TrustGroup, TrustMeasures
from tests.dashboard.samples import estimate

NOTHING = dict.fromkeys(TrustMeasures.model_fields)


def group(name: str, colour: str, epistemic: float | None) -> TrustGroup:
    told = {"epistemic": None if epistemic is None else estimate(epistemic, 0.01)}
    known = {"responses": 8, "prompts": 2, "aleatoric": estimate(0.1, 0.01)}
    measures = TrustMeasures(**{**NOTHING, **known, **told})
    return TrustGroup(group=name, measures=measures, colour=colour)


def test_shares_of_categories_stand_with_their_intervals():
    counts = [
        TriageCounts(category=name, share=estimate(0.2), responses=3)
        for name in ("out-of-distribution", "settled")
    ]
    (trace,) = categories(counts).data
    assert list(trace.x) == [0.2, 0.2]
    assert list(trace.error_x.arrayminus) == pytest.approx([0.05, 0.05])
    assert [about[0] for about in trace.customdata] == ["out-of-distribution", "settled"]


def test_groups_stand_in_the_plane_by_their_light_and_unmeasured_ones_do_not():
    groups = [
        group("<b>a</b>", "red", 0.3),
        group("b", "green", 0.1),
        group("c", "red", 0.2),
        group("d", "amber", None),
    ]
    green, red = plane_of_groups(groups).data
    assert (green.name, list(green.y)) == ("green", [0.1])
    assert (red.name, list(red.y)) == ("red", [0.3, 0.2])
    assert red.marker.symbol != green.marker.symbol
    assert "<b>" not in red.text[0]


def test_only_known_regrets_are_drawn():
    known = ChoiceFigures(
        method="head", regret=estimate(0.1), worst_regret=None, outcome=None, beyond_single=None
    )
    unknown = known.model_copy(update={"method": "1-NN", "regret": None})
    (trace,) = regrets([known, unknown]).data
    assert list(trace.x) == [0.1]
    assert trace.customdata[0][0] == "head"
