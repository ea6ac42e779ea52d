"""The testbed's table, at a size that takes seconds."""

from collections import defaultdict

import pytest

from explain.jobs.result_rows import Making
from explain.jobs.testbed_results import ExactRecipe, rows_of_testbed
from irl.engine.shards import silent
from irl.records import ResultRow
from irl.recovery.methods import METHODS

pytestmark = pytest.mark.slow
LEARNING = {"seeds": [0], "penalties": [1e-3], "epochs": 10, "learning_rate": 0.05}
RECIPE = ExactRecipe(
    kind="testbed",
    seed=0,
    exact=(5, 4, 2),
    sampled=(5, 4, 2),
    answers=(20, 160),
    draws=2,
    learning=LEARNING,
    exact_learning=LEARNING | {"penalties": [0.0], "epochs": 100},
)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[ResultRow]:
    making = Making(tmp_path_factory.mktemp("testbed"), None, silent, lambda _: None)
    return rows_of_testbed(RECIPE, making)


def test_the_identities_hold_to_rounding(rows: list[ResultRow]):
    errors = [row.estimate.value for row in rows if row.case == "identities" and row.estimate]
    assert len(errors) == 4
    assert max(errors) < 1e-9


def test_every_method_stands_in_every_case(rows: list[ResultRow]):
    cases: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row.metric.startswith("centred distance"):
            assert row.estimate is not None
            assert 0 <= row.estimate.low <= row.estimate.value <= row.estimate.high
            cases[row.case].add(row.method)
    cases.pop("identities", None)
    assert len(cases) == 5
    assert all(methods == set(METHODS) for methods in cases.values())


def test_with_exact_expectations_the_log_ratio_finds_the_reward(rows: list[ResultRow]):
    found = {
        row.method: row.estimate.value
        for row in rows
        if row.case.startswith("exact optimum") and row.estimate
    }
    assert found["log-ratio"] < 0.02


def test_a_method_says_so_exactly_where_it_fails(rows: list[ResultRow]):
    distances = {
        (row.case, row.method): row.estimate.value
        for row in rows
        if row.estimate and "expectations" in row.case
    }
    said = {(row.case, row.method): row.reason for row in rows if row.metric == "verdict"}
    assert set(said) == {key for key, value in distances.items() if value > 0.1}
    assert said
    for (_, method), reason in said.items():
        assert reason is not None
        assert reason.startswith(f"{method} does not find the reward here")


def test_more_answers_bring_the_log_ratio_nearer(rows: list[ResultRow]):
    by_n = [
        row.estimate.value
        for row in rows
        if row.method == "log-ratio" and "answers" in row.case and row.estimate
    ]
    assert by_n[1] < by_n[0]
