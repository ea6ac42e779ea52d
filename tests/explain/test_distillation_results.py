"""The table of students: who has more of the frontier than SFT."""

from pathlib import Path

import pytest

from explain.jobs.distillation_results import (
    PREFERRED,
    SFT,
    TEACHER,
    DistillationRecipe,
    _End,
    _rows_of,
    distillation_rows,
)
from explain.jobs.result_rows import Making, Measured
from irl.engine.shards import silent
from irl.errors import InputError


def test_students_are_compared_with_sft_seed_by_seed_where_both_are_told():
    ends = {
        TEACHER: [_End(1.0, 1.0, 0.9)] * 3,
        SFT: [_End(0.5, 1.0, 0.5), _End(0.5, 1.0, 0.6), _End(0.5, 9.0, None)],
        PREFERRED: [_End(0.5, 1.0, 0.7)] * 3,
        "advantage": [_End(0.7, 1.0, 0.7), _End(0.7, 1.0, 0.8), _End(0.7, 1.0, 0.7)],
    }
    rows = {(row.method, row.metric): row for row in _rows_of(Measured("x", [0, 1, 2]), ends)}
    for other, value, n in ((SFT, 0.2, 2), (PREFERRED, 0.1 / 3, 3)):
        more = rows["advantage", f"more of the frontier than {other}"].estimate
        assert more is not None
        assert (more.value, more.n) == (pytest.approx(value), n)
        assert (TEACHER, f"more of the frontier than {other}") not in rows


def recipe(**changes: object) -> DistillationRecipe:
    given = {
        **{"kind": "distillation", "objectives": ["manners"], "seeds": [0], "prompts": 12},
        "align": {
            **{"steps": 1, "batch": 8, "answers_per_prompt": 4, "max_new_tokens": 6},
            **{"watched_prompts": 4, "watch_every": 1},
        },
        "student": {
            **{"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1},
            **{"num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 128},
        },
        **{"imitated_answers": 1, "taught_answers": 1, "max_new_tokens": 16},
        **{"watched_prompts": 4, "watched_answers": 2, "frontier_answers": 64},
        "learning": {"steps": 2, "batch": 4},
        "advantages": [{"strength": 1}, {"strength": 1, "over_reference": False}],
    }
    return DistillationRecipe.model_validate(given | changes)


@pytest.mark.slow
def test_students_are_trained_and_the_second_time_none_is(tmp_path: Path):
    said: list[str] = []
    making = Making(tmp_path, None, silent, said.append)
    rows = distillation_rows(recipe(), making)
    advantage = "advantage, strength 1"
    assert {TEACHER, SFT, PREFERRED, advantage, f"{advantage}, without the reference"} < {
        row.method for row in rows
    }
    said.clear()
    assert distillation_rows(recipe(), making) == rows
    assert said == ["manners: seed 0"]


def test_an_objective_that_is_not_planted_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="no objective nothing"):
        distillation_rows(recipe(objectives=["nothing"]), Making(tmp_path, None, silent, print))
