"""The table of readings: exact optima are read as a reward, collapsed policies are not."""

from pathlib import Path

import pytest

from explain.jobs.readability_results import ReadabilityRecipe, readability_rows
from explain.jobs.result_rows import Making
from irl.errors import InputError

RECIPE = ReadabilityRecipe(
    kind="readability",
    organisms="organisms",
    nulls="nulls",
    calibrated_on=(),
    held_out=(),
    tunings=(),
    tuned_in=(),
    token_calibrated_on=(7,),
    token_held_out=(8,),
    token_prompts=48,
    token_answers=12,
    ascents=(120,),
)


def _making(folder: Path) -> Making:
    return Making(folder / "results-readability", None, lambda *_: None, lambda _: None)


@pytest.mark.slow_extra
def test_exact_optima_are_read_as_a_reward_and_collapsed_policies_as_a_direction(tmp_path: Path):
    rows = readability_rows(RECIPE, _making(tmp_path))
    found = {(row.case, row.metric): row.estimate.value for row in rows if row.estimate}
    for which in ("thresholds chosen on these", "held out"):
        case = f"token worlds, {which}"
        assert found[f"{case}: with KL", "read as reward"] == 1.0
        assert found[f"{case}: DPO", "read too little"] == 0.0
        assert found[f"{case}: without KL", "read as direction"] == 1.0
        assert found[case, "error rate"] == 0.0
    lost = {
        row.case: row.estimate.value
        for row in rows
        if row.metric == "entropy lost" and row.estimate
    }
    without = [value for case, value in lost.items() if "without KL" in case]
    assert min(without) > 0.5 > max(value for case, value in lost.items() if "optimum" in case)


def test_a_missing_audit_or_pair_is_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"results-nulls/seed-0-few"):
        readability_rows(
            RECIPE.model_copy(update={"tunings": ("few",), "tuned_in": (0,)}), _making(tmp_path)
        )
    with pytest.raises(InputError, match="irl organisms build nowhere"):
        readability_rows(
            RECIPE.model_copy(update={"real_held_out": (f"{tmp_path}/nowhere",)}), _making(tmp_path)
        )
