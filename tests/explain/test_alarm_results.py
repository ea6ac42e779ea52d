"""False alarms: counted by method, by build and together."""

from pathlib import Path

import pytest

from explain.jobs.alarm_results import AlarmsRecipe, _summed, alarm_rows
from explain.jobs.result_rows import Making, Measured
from irl.errors import InputError
from irl.records import Estimate, WordsVerdict


def verdict(objective: bool, p_value: float = 0.001, r2: float = 0.2) -> WordsVerdict:
    share = Estimate(value=r2, low=r2, high=r2, n=5)
    return WordsVerdict(objective=objective, terms=[], r2=share, sd_nats=None, p_value=p_value)


def test_methods_on_one_build_are_one_case_together():
    builds = [
        {"one": verdict(True, r2=0.5), "two": verdict(True)},
        {"one": verdict(False), "two": verdict(False, p_value=0.2)},
        {"one": verdict(False), "two": verdict(False)},
    ]
    rows = {(row.method, row.metric): row.estimate for row in _summed(Measured("x", [0]), builds)}
    found = rows["any method", "called an objective"]
    pooled = rows["builds x methods", "called an objective"]
    assert found is not None
    assert pooled is not None
    assert (found.value, found.n) == (1 / 3, 3)
    assert (pooled.value, pooled.n) == (2 / 6, 6)
    assert found.high > pooled.high
    assert rows["two", "p below 0.01 alone"].value == 2 / 3
    assert rows["one", "largest r2"].value == 0.5


def test_answers_that_were_never_drawn_are_asked_for(tmp_path: Path):
    recipe = AlarmsRecipe(
        kind="alarms", nulls="nulls", tunings=("few",), organisms="o", planted=(), seeds=[0]
    )
    making = Making(tmp_path / "results-alarms", None, lambda *_: None, lambda _: None)
    with pytest.raises(InputError, match="irl results nulls"):
        alarm_rows(recipe, making)
