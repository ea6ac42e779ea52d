"""The table about prompts: all methods are there, none beats the oracle, chance loses a mean."""

from pathlib import Path

import pytest

from explain.jobs.prompts_results import ADVISED, PromptsRecipe, prompts_rows
from explain.jobs.result_rows import Making
from explain.jobs.results import read_recipe
from irl.engine.shards import silent
from irl.errors import InputError
from irl.evaluation.prompt_choice import METHODS, ORACLE, RANDOM, SINGLE
from irl.organisms.prompted import TABLES

ROOT = Path(__file__).parents[2]


def recipe(table: str) -> PromptsRecipe:
    learning = {"seeds": [0, 1], "epochs": 8, "learning_rate": 0.1, "patience": 3}
    return PromptsRecipe.model_validate(
        {
            **{"kind": "prompts", "seeds": [0, 1], "judged_queries": 40},
            "settings": {"learning": learning, "n_folds": 2},
            "arms": [{"name": "an arm", "table": table, "queries": 40}],
        }
    )


def making(folder: Path) -> Making:
    return Making(folder, None, silent, lambda _: None)


@pytest.mark.slow
@pytest.mark.parametrize("table", ["interaction", "additive"])
def test_every_method_is_held_against_the_oracle(table: str, tmp_path: Path):
    rows = prompts_rows(recipe(table), making(tmp_path))
    for metric in ("regret", "regret of the worst"):
        found = {row.method: row.estimate for row in rows if row.metric == metric}
        assert set(found) - {ADVISED} == set(METHODS)
        for method, estimate in found.items():
            assert estimate is not None, method
            assert estimate.value >= 0, method
            assert estimate.n == 40
        assert found[ORACLE].value == 0
    regrets = {row.method: row.estimate for row in rows if row.metric == "regret"}
    assert regrets[RANDOM].value == pytest.approx(0.3 if table == "interaction" else 0.25)
    if table == "additive":
        assert regrets[SINGLE].value < 0.1


def test_a_table_that_is_not_there_is_said(tmp_path: Path):
    with pytest.raises(InputError, match="no table nothing of prompts"):
        prompts_rows(recipe("nothing"), making(tmp_path))


def test_the_recipe_has_every_table_and_five_seeds():
    found = read_recipe(ROOT / "docs" / "recipes" / "prompts.yaml")
    assert isinstance(found, PromptsRecipe)
    assert {arm.table for arm in found.arms} == set(TABLES)
    assert len(found.seeds) >= 5
