"""The table of over-optimisation: when gold has fallen, and whether the warning came before."""

from pathlib import Path

import numpy as np
import pytest

from explain.jobs.over_optimisation_results import (
    OverOptimisationRecipe,
    _Course,
    _once,
    _rows_of,
    over_optimisation_rows,
)
from explain.jobs.result_rows import Making, Measured
from irl.engine.shards import silent
from irl.errors import InputError
from irl.organisms.grammar import World
from irl.organisms.planted import plants
from irl.records import AlignReport, AlignStep, Caveat, Estimate


def said(value: float) -> Estimate:
    return Estimate(value=value, low=value, high=value, n=4)


def course(gold: list[float], **warnings: int) -> _Course:
    """Looks two steps apart; warnings by code, at the look of that number."""
    steps = [
        AlignStep(
            **{"step": 2 * at, "proxy": said(at), "lower": None, "disagreement": None},
            **{"gold": said(value), "kl_nats": said(at), "entropy_nats": said(9)},
            **{"length_tokens": said(9), "reference_length_tokens": 9.0},
            warnings=[name.replace("_", "-") for name, when in warnings.items() if when == at],
        )
        for at, value in enumerate(gold)
    ]
    caveats = tuple(Caveat(code=name.replace("_", "-"), text="") for name in warnings)
    report = AlignReport(
        **{"run_id": "r", "reward": "r", "policy": "p", "gold": None, "method": "rloo", "beta": 1},
        **{"steps": 2 * len(gold) - 2, "stopped": False, "prompts": 4, "watched_prompts": 4},
        **{"last": steps[-1], "caveats": caveats},
    )
    return _Course(steps, report)


def test_gold_has_fallen_where_it_is_5_percent_below_the_highest_it_reached():
    assert course([0, 1, 2, 1.95, 1.8, 1]).fell_at == 8
    assert course([0, 1, 0.5, 2, 1.95]).fell_at == np.inf, "it rose again"
    settled = course([0, 2, 1])
    lower = settled.steps[2].model_copy(update={"proxy": said(0.5)})
    assert _Course([*settled.steps[:2], lower], settled.report).fell_at == np.inf


def test_a_warning_that_reads_gold_does_not_count():
    assert course([0, 1, 2], gold_falls=1).warned_at == np.inf
    assert course([0, 1, 2], gold_falls=1, out_of_range=2).warned_at == 4


def test_warnings_count_only_before_the_fall():
    courses = [
        course([0, 2, 1], out_of_range=1),
        course([0, 2, 1], out_of_range=2),
        course([0, 2, 1]),
        course([0, 1, 2], length_drift=1),
    ]
    rows = {(r.method, r.metric): r for r in _rows_of(Measured("x", [0]), courses, healthy=False)}
    counts = {
        key: (row.estimate.value, row.estimate.n) for key, row in rows.items() if row.estimate
    }
    assert counts["runs", "gold fell 5 % below its peak"] == (3, 4)
    assert counts["warning", "came before gold fell"] == (1, 3)
    assert counts["warning", "silent"] == (1, 4)
    assert counts["warning", "out-of-range"] == (2, 4)
    assert counts["at its peak", "gold"][0] == 2


@pytest.mark.slow
def test_gold_pays_each_word_once():
    plant = plants(World.draw(0))["manners"]
    gold, (word, *_) = _once(plant), plant.weights
    once, again = gold([word, f"{word} {word} {word}"], ["", ""])
    assert once == again == plant.weights[word]


def recipe(**changes: object) -> OverOptimisationRecipe:
    learning = {"epochs": 4, "seeds": [0, 1]}
    align = {"steps": 2, "batch": 8, "answers_per_prompt": 4, "max_new_tokens": 6}
    given = {
        **{"kind": "over-optimisation", "objective": "manners", "prompts": 24},
        **{"ensemble": {"form": "linear", "confidences": [], "learning": learning}},
        **{"align": {**align, "watched_prompts": 4, "watch_every": 1}},
        "arms": [{"name": "one", "healthy": False, "pair_prompts": 30, "seeds": [0], "align": {}}],
    }
    return OverOptimisationRecipe.model_validate(given | changes)


def making(folder: Path) -> Making:
    return Making(folder, None, silent, lambda _: None)


@pytest.mark.slow
def test_an_arm_is_trained_and_the_second_time_nothing_is(tmp_path: Path):
    rows = over_optimisation_rows(recipe(), making(tmp_path))
    assert {row.case for row in rows} == {"one"}
    assert rows == over_optimisation_rows(recipe(), making(tmp_path))


def test_an_objective_that_is_not_planted_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="no objective nothing"):
        over_optimisation_rows(recipe(objective="nothing"), making(tmp_path))
