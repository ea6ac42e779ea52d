"""The table of published rewards: fits with a known truth, and without labels in the choice."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from explain.jobs.published_results import PublishedRecipe, published_rows
from explain.jobs.result_rows import Making
from irl.errors import InputError

RECIPE = PublishedRecipe(
    kind="published", scores="scores.parquet", truth="truth.parquet", headline="good"
)


def _making(text: Path | None, folder: Path) -> Making:
    return Making(folder, text, lambda *_: None, lambda _: None)


def _write(folder: Path, sets: dict[str, np.ndarray], true: np.ndarray) -> None:
    rows = [
        {"run": name, "epochs": 1, "lr": "1", "rewards": json.dumps(list(map(float, scores)))}
        for name, fits in sets.items()
        for scores in fits
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "scores.parquet")
    pq.write_table(pa.table({"true_reward": true}), folder / "truth.parquet")


def test_the_consensus_is_near_the_truth_and_a_reversed_and_a_flat_fit_are_named(tmp_path: Path):
    rng = np.random.default_rng(0)
    true = rng.normal(size=400)
    noise = np.array([0.2, 1.0, 1.0, 2.0, 3.0])
    fits = true + noise[:, None] * rng.normal(size=(5, 400))
    flat = np.where(np.arange(400) < 3, 50.0, 0.0) + 1e-3 * true
    _write(tmp_path, {"good": np.vstack([fits, -fits[1], flat])}, true)
    rows = published_rows(RECIPE, _making(tmp_path, tmp_path))
    found = {(row.method, row.metric): row.estimate.value for row in rows if row.estimate}
    best = found["consensus", "AUC"]
    assert best == pytest.approx(np.max([_auc(fit, true > 0) for fit in fits]))
    assert best > found["mean of the fits", "AUC"]
    assert found["consensus", "fits named as reversed"] == 1
    assert found["consensus", "of fits reversed by the labels, named"] == 1.0
    assert found["all fits", "nearly constant"] == pytest.approx(1 / 7)
    assert found["consensus", "sets where it beats the mean of the fits"] == 1.0


def test_turning_the_labels_round_changes_no_choice(tmp_path: Path):
    rng = np.random.default_rng(1)
    true = rng.normal(size=300)
    fits = true + rng.normal(size=(6, 300)) * np.linspace(0.3, 2.0, 6)[:, None]
    values = []
    for sign in (1, -1):
        _write(tmp_path, {"good": fits}, sign * true)
        rows = published_rows(RECIPE, _making(tmp_path, tmp_path))
        values.append({(r.method, r.metric): r.estimate.value for r in rows if r.estimate})
    one, other = (found["consensus", "AUC"] for found in values)
    assert one + other == pytest.approx(1.0)


def test_what_is_missing_is_named(tmp_path: Path):
    with pytest.raises(InputError, match="--text DIR"):
        published_rows(RECIPE, _making(None, tmp_path))
    with pytest.raises(InputError, match=r"scores\.parquet"):
        published_rows(RECIPE, _making(tmp_path, tmp_path))


def _auc(scores: np.ndarray, high: np.ndarray) -> float:
    wins = scores[high][:, None] > scores[~high][None]
    return float(wins.mean())
