"""Figures of methods, of the truth and of posteriors, from what was measured."""

import pytest

from explain.method_rows import (
    AUTHORS,
    LABELS,
    LOG_RATIO,
    TRUTH,
    row_of_recovery,
    rows_of_audit,
)
from explain.recovery_figures import NOMINAL, Cells, against_truth, contraction, methods
from tests.dashboard.recovered import contraction as rows_of_posterior
from tests.dashboard.recovered import recovery, report, truth
from tests.dashboard.samples import HOSTILE, accuracy, audit_report, estimate


def test_a_row_of_an_audit_and_of_a_recovery_say_the_same_things():
    audit = audit_report().model_copy(
        update={"recovery": [recovery("log_ratio", 0.9)], "truth": truth(0.95)}
    )
    (mine,) = rows_of_audit("audit", audit)
    other = row_of_recovery("other", report(truth=truth(0.5)))
    assert (mine.method, other.method) == ("log-ratio", "bradley-terry")
    for row, value in ((mine, 0.95), (other, 0.5)):
        assert row.figures[TRUTH] == estimate(value)
        assert row.figures[AUTHORS] == estimate(0.6)
        assert row.figures[LOG_RATIO] is None
    assert mine.of_each_seed(LABELS) == []
    assert [one.seed for one, _ in other.of_each_seed(LABELS)] == [0, 1, 2]
    assert other.of_each_seed(TRUTH) == [], "seeds are not held against the truth"


def test_term_rewards_have_no_seeds_and_their_accuracy_is_that_of_the_labels():
    row = row_of_recovery("terms", report(recovery=None, by_seed=None))
    assert (row.method, row.seeds, row.mean) == ("log-ratio", 1, None)
    assert row.figures[LABELS] == accuracy("recovered", 0.05).preference


def test_methods_have_intervals_and_their_seeds_beside_them():
    rows = [row_of_recovery("a", report()), row_of_recovery("b", report("max-margin", 0.7))]
    chosen, seeds = methods(rows, LABELS).data
    assert list(chosen.x) == [0.8, 0.7]
    assert list(chosen.error_x.array) == pytest.approx([0.05, 0.05])
    assert list(seeds.x) == pytest.approx([0.78, 0.8, 0.82, 0.68, 0.7, 0.72])
    assert {round(y) for y in seeds.y} == {0, 1}
    without = [row_of_recovery("a", report(by_seed=None))]
    assert len(methods(without, LABELS).data) == 1


def test_what_a_run_calls_itself_is_no_markup():
    drawn = methods([row_of_recovery(HOSTILE, report())], LABELS)
    assert "<img" not in drawn.to_json().replace("&lt;img", "")


def test_cells_without_answers_are_empty_and_the_line_is_where_both_axes_reach():
    plane = Cells([-2.0, 0.0, 1.0], [-1.0, 0.0, 3.0], [[9, 0, 0], [0, 100, 0], [0, 0, 1]])
    heat, line = against_truth(plane, "log-ratio").data
    assert [list(row) for row in heat.z] == [
        [pytest.approx(0.954, abs=1e-3), None, None],
        [None, 2.0, None],
        [None, None, 0.0],
    ]
    assert list(line.x) == list(line.y) == [-1.0, 1.0]


def test_the_posterior_is_drawn_with_its_reference_lines_and_coverage_where_it_is_known():
    drawn = contraction(rows_of_posterior()).data
    prior, falling, coin, posterior, promised, others, planted = drawn
    assert list(posterior.x) == [40, 80, 160, 320]
    assert list(posterior.y) == [8, 4, 2, 1]
    assert list(falling.y) == list(posterior.y), "these go as one over n"
    assert list(coin.y) == [4, 2, 1, 0.5]
    assert list(posterior.error_y.array) == pytest.approx([0.1] * 4)
    assert list(others.x) == [40, 80, 160], "no prompts are left to hold all of them against"
    assert list(planted.x) == [40, 80, 160, 320]
    assert (set(prior.y), set(promised.y)) == ({16}, {NOMINAL})
    assert all(list(line.x) == [40, 80, 160, 320] for line in (prior, falling, coin, promised))


def test_without_a_truth_there_is_no_line_of_it():
    rows = [one.model_copy(update={"truth_covered": None}) for one in rows_of_posterior()]
    assert [trace.name for trace in contraction(rows).data][
        -1
    ] == "holds what the other prompts say"
