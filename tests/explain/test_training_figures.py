"""Figures of training: what was given is drawn, with its interval, and nothing else."""

import pytest

from explain.training_figures import best_of_n, reliability, reward_over_kl, training_curves
from tests.dashboard.samples import BINS, LOOKS, look, picked, points


def named(figure, name: str):
    (trace,) = [one for one in figure.data if one.name == name]
    return trace


def test_gains_kl_and_length_stand_over_the_steps_with_their_bands():
    figure = training_curves(LOOKS)
    gold = named(figure, "gold")
    assert list(gold.x) == [0, 2, 4]
    assert list(gold.y) == [0.0, 0.4, 0.3]
    assert list(gold.customdata[1]) == pytest.approx([0.35, 0.45, 64])
    assert list(named(figure, "KL").y) == pytest.approx([0.0, 0.4, 0.8])
    bands = [one for one in figure.data if one.fill == "toself"]
    assert len(bands) == 6
    assert list(bands[2].y) == pytest.approx([0.05, 0.45, 0.35, 0.25, 0.35, -0.05])
    assert len({(one.line.dash, one.marker.symbol) for one in figure.data[1:6:2]}) == 3


def test_a_warning_is_a_line_and_what_is_not_known_is_not_drawn():
    figure = training_curves([look(0), look(2, "out-of-range")])
    assert "gold" not in {one.name for one in figure.data}
    assert {shape.x0 for shape in figure.layout.shapes if shape.x0 == shape.x1} == {2}


def test_every_path_stands_on_the_plane_and_controls_look_like_controls():
    figure = reward_over_kl(points())
    weights, control = named(figure, "weights"), named(figure, "random 0")
    assert list(weights.x) == [0, 1, 4]
    assert list(weights.y) == [0, 1, 2]
    assert [one[0] for one in weights.customdata] == [-1, 0, 1]
    assert (weights.line.dash, control.line.dash) == ("solid", "dash")
    assert set(named(reward_over_kl(points(), gold=True), "weights").y) == {0.5}


def test_a_path_of_a_hostile_name_is_no_markup():
    hostile = [one.model_copy(update={"path": "<b>x</b>"}) for one in points()[:1]]
    (trace,) = reward_over_kl(hostile).data
    assert "<b>" not in trace.name + trace.hovertemplate.replace("<br>", "")


def test_bins_of_few_pairs_are_small():
    ideal, measured = reliability(BINS).data
    assert list(ideal.x) == list(ideal.y)
    assert list(measured.x) == [0.6, 0.9]
    assert list(measured.y) == [0.55, 0.7]
    assert list(measured.marker.size) == [20, 10]


def test_proxy_and_gold_stand_over_the_kl_of_best_of_n_with_the_fitted_form():
    figure = best_of_n(picked())
    proxy, gold, form = (named(figure, name) for name in ("proxy", "gold", "gold, fitted"))
    assert list(proxy.x) == [0.0, 0.25, 1.0]
    assert list(proxy.y) == [0.0, 0.5, 1.0]
    assert [one[0] for one in gold.customdata] == [1, 2, 4]
    assert list(gold.error_y.array) == pytest.approx([0.05] * 3)
    assert (form.x[-1], form.y[-1]) == pytest.approx((1.0, 2.0 - 1.5))
    assert max(form.y) == pytest.approx(2.0**2 / (4 * 1.5), rel=0.01), "highest at alpha^2 / 4 beta"


def test_without_gold_only_the_proxy_is_drawn():
    assert [one.name for one in best_of_n(picked(gold=False)).data] == ["proxy"]
