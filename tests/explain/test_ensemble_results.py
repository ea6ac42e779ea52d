"""The table of ensembles on a few answers of the tracked world."""

from pathlib import Path

import pytest

from explain.jobs.ensemble_results import KINDS, SIZES, EnsemblesRecipe, ensemble_rows
from explain.jobs.result_rows import Making
from irl.engine.shards import silent
from irl.errors import InputError


def recipe(**changes: object) -> EnsemblesRecipe:
    given = {
        **{"kind": "ensembles", "seed": 0, "objectives": ["manners"], "flips": [0.0]},
        **{"trainings": 1, "training_prompts": 60, "judging_prompts": 4, "answers": 24},
        **{"ns": [1, 2, 10], "learning": {"epochs": 8, "learning_rate": 0.01}},
    }
    return EnsemblesRecipe.model_validate(given | changes)


def making(folder: Path) -> Making:
    return Making(folder, None, silent, lambda _: None)


@pytest.mark.slow
def test_every_ensemble_is_judged_and_none_beats_the_gold_it_is_judged_by(tmp_path: Path):
    rows = ensemble_rows(recipe(), making(tmp_path))
    best = {r.method: r.estimate for r in rows if r.metric == "gold, best of 10"}
    wanted = {f"{size} members, {kind}" for size in SIZES[1:] for kind in KINDS}
    assert wanted | {"one member", "gold itself"} <= set(best)
    gold = best.pop("gold itself")
    assert gold is not None
    for method, estimate in best.items():
        assert estimate is not None, method
        assert estimate.value < gold.value, method
        assert estimate.n == 4
    learnt = best["10 members, mean"]
    assert learnt is not None
    assert learnt.low > 0.2


def test_real_pairs_without_their_folder_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match="give their folder with --text"):
        ensemble_rows(recipe(real=["pairs"]), making(tmp_path))
