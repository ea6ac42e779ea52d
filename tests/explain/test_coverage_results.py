"""The table of posteriors: who covers, who is too sure, and what contraction is worth."""

from pathlib import Path

import pytest

from explain.jobs.coverage_results import COVERED, CoverageRecipe, coverage_rows
from explain.jobs.result_rows import Making


@pytest.mark.slow_extra
def test_full_posteriors_cover_and_the_mean_field_does_not_and_coins_contract(tmp_path: Path):
    recipe = CoverageRecipe(
        kind="coverage",
        seed=1,
        features=4,
        pairs=200,
        correlations=(0.8,),
        simulations=300,
        sampled=60,
        kept=300,
        parts=4,
    )
    rows = coverage_rows(recipe, Making(tmp_path, None, lambda *_: None, lambda _: None))
    found = {(row.method, row.metric): row.estimate.value for row in rows if row.estimate}
    assert found["laplace", COVERED] == pytest.approx(0.9, abs=0.04)
    assert found["elliptical slice", COVERED] == pytest.approx(0.9, abs=0.07)
    assert found["mean-field", COVERED] < 0.75
    variance = "total variance (prior 1 each)"
    assert found["mean-field", variance] < 0.6 * found["laplace", variance]
    true, coin = (f"laplace, {labels}" for labels in ("true labels", "labels by a coin"))
    for which in (true, coin):
        traces = [found[f"{which}, round {number} of 4", variance] for number in range(1, 5)]
        assert traces == sorted(traces, reverse=True)
    assert found[f"{coin}, round 4 of 4", variance] < found[f"{true}, round 4 of 4", variance]
    refits = found[f"{true}, 20 refits to pairs drawn again", variance]
    assert refits == pytest.approx(found["laplace", variance], rel=0.35)
    assert found[f"{coin}, last round", COVERED] < 0.7 < found[f"{true}, last round", COVERED]
