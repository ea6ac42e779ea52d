"""Do attributions add up: what the table counts, and that no bundled pair is left out of it."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from explain.jobs.attribution_report import Mean
from explain.jobs.gap_results import GapsRecipe, gap_rows, rows_of
from explain.jobs.result_rows import Making, Measured
from explain.jobs.results import read_recipe
from irl.engine.shards import silent
from irl.errors import InputError
from tests import fakes

ROOT = Path(__file__).parents[2]


def test_every_pair_that_comes_with_the_repository_is_in_the_table() -> None:
    recipe = read_recipe(ROOT / "docs" / "recipes" / "gaps.yaml")
    assert isinstance(recipe, GapsRecipe)
    kept = re.findall(r"^!(artifacts/models/[\w-]+)/$", (ROOT / ".gitignore").read_text(), re.M)
    shared_reference = "artifacts/models/world"
    assert set(recipe.pairs) == set(kept) - {shared_reference}


def test_gaps_above_the_tolerance_are_counted_and_the_largest_is_told() -> None:
    gaps, steps = np.array([0.001, 0.01, 0.011, 2.0] * 4), np.array([32, 64, 512, 512] * 4)
    of, name = Measured("pair", [0]), "a method"
    rows = rows_of(of, name, gaps, steps, Mean(np.repeat(np.arange(8), 2), 0))
    found = {row.metric: row.estimate for row in rows}
    values = {metric: one and (pytest.approx(one.value), one.n) for metric, one in found.items()}
    assert values == {
        "mean relative gap (%)": (50.55, 8),
        "largest relative gap (%)": (200.0, 16),
        "unmet (above 1 %)": (8, 16),
        "median steps": (288, 16),
        "most steps": (512, 16),
    }
    mean, *_ = rows_of(of, name, gaps[:4], steps[:4], Mean(np.array([0, 0, 1, 1]), 0))
    assert (mean.estimate, mean.reason) == (None, "no interval from fewer than 8 prompts")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")
def test_a_pair_is_drawn_from_attributed_and_counted(tmp_path: Path) -> None:
    fakes.save_pair(tmp_path / "pair")
    lines = [json.dumps({"prompt": text}) for text in ("the cat", "what now?", "i like")]
    (tmp_path / "pair" / "prompts.jsonl").write_text("\n".join(lines) + "\n")
    given = {"pairs": [str(tmp_path / "pair")], "drawn": 3, "answers_per_prompt": 2}
    given |= {"max_new_tokens": 6}
    prompts = {"Integrated Gradients": 2, "DeepLIFT": 1}
    recipe = GapsRecipe.model_validate({"kind": "gaps", **given, "prompts": prompts})
    rows = gap_rows(recipe, Making(tmp_path / "runs", None, silent, str))
    found = {(row.method, row.metric): row.estimate for row in rows}
    unmet = found["Integrated Gradients", "unmet (above 1 %)"]
    assert unmet is not None
    assert (unmet.value, unmet.n) == (0, 4)
    without_rules = found["DeepLIFT", "unmet (above 1 %)"]
    assert without_rules is not None
    assert (without_rules.value, without_rules.n) == (2, 2)
    assert {method for method, _ in found} == prompts.keys()
    with pytest.raises(InputError, match="There is no pair"):
        gap_rows(
            recipe.model_copy(update={"pairs": [str(tmp_path)]}),
            Making(tmp_path, None, silent, str),
        )
