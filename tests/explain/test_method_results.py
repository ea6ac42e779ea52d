"""Tables about recovery methods, on samples whose planted reward is known."""

from pathlib import Path

import numpy as np
import pytest

from explain.jobs.methods_results import Material, _fits
from explain.jobs.noise_results import NoiseRecipe, Pairs, _at
from explain.jobs.result_rows import Measured
from irl.bootstrap import codes
from irl.config import Learning
from irl.data import read_preferences, read_samples
from irl.jobs.learning import Answered
from irl.recovery.methods import METHODS, ROBUST, WHITE_BOX
from tests.irl.test_samples_recovery import PAID, RATES, WORDS, preferences, samples

pytestmark = pytest.mark.slow
LOG_RATES = dict(zip(WORDS, np.log(RATES), strict=True))
LEARNING = Learning(seeds=(0, 1, 2), penalties=(1e-3, 1e-2), epochs=30)


@pytest.fixture
def material(tmp_path: Path) -> Material:
    """Samples of an exact tilt: the log-ratio is the reward but for what normalises each word."""
    files = samples(tmp_path, 60)
    rows = [row for side in files.values() for row in read_samples(side).rows]
    n = len(rows) // 2
    worth = [sum(PAID.get(word, 0.0) for word in row.response.split()) for row in rows]
    answered = Answered(
        [row.response for row in rows],
        codes([row.prompt_id for row in rows]),
        np.arange(2 * n) < n,
        np.array(worth),
        np.array([sum(LOG_RATES[word] for word in row.response.split()) for row in rows]) + worth,
    )
    return Material(
        answered,
        list(read_preferences(preferences(tmp_path, 200)).rows),
    )


@pytest.mark.parametrize("box", ["white box", "black box"])
def test_every_method_has_its_rows_and_none_is_another(material: Material, box: str):
    given = material.samples(10**6) if box == "black box" else material
    rows = list(_fits(Measured(f"made up, {box}", [0]), given, LEARNING))
    means = {r.method: r.estimate.value for r in rows if "mean" in r.metric and r.estimate}
    assert set(means) == set(METHODS) - ROBUST - (WHITE_BOX if box == "black box" else set())
    assert min(means.values()) > 0.7
    assert means["bradley-terry"] > 0.9
    worst = {r.method: r.estimate.value for r in rows if "worst" in r.metric and r.estimate}
    assert all(worst[name] <= means[name] for name in means)
    assert all(r.estimate and r.estimate.value == 0 for r in rows if "reverse" in r.metric)
    (nearest,) = [r for r in rows if "smallest distance" in r.metric]
    assert nearest.estimate is not None
    assert nearest.estimate.value > 1e-3


def test_the_first_answers_are_those_of_the_first_prompts(material: Material):
    few = material.samples(80).answered
    assert len(few.texts) == 160
    assert few.aligned.sum() == 80
    assert few.prompt.max() == 9
    assert few.texts[:80] == material.answered.texts[:80]
    assert few.log_ratio is few.log_policy is None


@pytest.mark.slow_extra
def test_wrong_labels_cost_accuracy_and_are_found(tmp_path: Path):
    pairs = Pairs(list(read_preferences(preferences(tmp_path, 800)).rows))
    recipe = NoiseRecipe(kind="noise", seed=0, organism="made up", flips=(0.0, 0.3))
    clean = {r.method: r.estimate for r in _at(pairs, 0.0, recipe, LEARNING)}
    assert all(found and found.value > 0.95 for found in clean.values())
    rows = list(_at(pairs, 0.3, recipe, LEARNING))
    for row in rows:
        assert row.estimate is not None
        if row.metric.startswith("pair accuracy"):
            assert row.estimate.value <= clean[row.method].value
        else:
            assert row.estimate.value > 0.4, "three in ten by chance; half are never held out"
