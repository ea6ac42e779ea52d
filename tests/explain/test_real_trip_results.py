"""The round trip on real text: who is toxic, and whether that differs."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from explain.jobs.real_trip_results import (
    HELD_OUT,
    TRAINED,
    RealTrip,
    _difference,
    _of_frontier,
    _Texts,
    real_trip_rows,
)
from explain.jobs.result_rows import Making, Measured
from irl.engine.shards import silent
from irl.errors import InputError
from irl.records import Estimate
from irl.rlhf.frontier import frontier
from irl.rlhf.watch import Look

OF = Measured("real text", [0, 1])


def told(gains: np.ndarray) -> list[Estimate]:
    return [row.estimate for row in _difference(OF, "m", "d", gains) if row.estimate is not None]


def test_a_difference_that_is_there_is_told_from_one_that_is_not():
    rng = np.random.default_rng(0)
    there, p_there = told(rng.normal(-0.2, 0.3, (2, 400)))
    assert there.high < 0
    assert p_there.value < 1e-6
    none, p_none = told(rng.normal(0.0, 0.3, (2, 400)))
    assert none.low < 0 < none.high
    assert p_none.value > 0.05


def test_the_share_of_the_frontier_is_that_of_the_prompts_it_was_drawn_for():
    bound = frontier([np.random.default_rng(0).normal(size=4000)])
    values = np.array([bound.at(0.5), bound.at(0.5), 99.0])
    look = Look(0, values, values[None], None, np.array([0.5, 0.5, 70.0]), values, values)
    assert _of_frontier(look, bound, 2) == pytest.approx(1)
    assert _of_frontier(look, bound, 3) is None


def test_prompts_that_somebody_was_trained_on_are_not_held_out(tmp_path: Path):
    said = {"completion": ["a  rude fool"] * 3, "completion_toxicity": [0.9, 0.1, 0.9]}
    pd.DataFrame({"prompt": ["we don't", "you", "they"], **said}).to_parquet(
        tmp_path / f"{TRAINED}.parquet"
    )
    pd.DataFrame({"prompt": ["we dont", "new", "you"], **said}).to_parquet(
        tmp_path / f"{HELD_OUT}.parquet"
    )
    texts = _Texts(tmp_path)
    assert list(texts.held_out["prompt"]) == ["new"]
    assert sorted(texts.openings(2) + texts.openings(9)[2:]) == ["they", "we dont", "you"]


def test_without_its_text_the_table_is_refused(tmp_path: Path):
    recipe = RealTrip(
        **{"pair": "p", "seeds": [0], "prompts": 4, "align": {}, "recover": {}, "answers": 2},
        **{"frontier_prompts": 2, "frontier_answers": 2},
    )
    for text, sentence in ((None, "--text DIR"), (tmp_path, f"no {TRAINED}.parquet")):
        with pytest.raises(InputError, match=sentence):
            real_trip_rows(recipe, Making(tmp_path, text, silent, lambda _: None))
