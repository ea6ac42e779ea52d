"""Whole pieces of work on two nodes: members and audits are what this process makes of them.

Run by hand: `pytest -m slow_extra tests/irl/test_fan_out_on_ray.py`.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from explain.jobs.many_audits import run_audits
from irl.engine.engine import HERE
from irl.engine.on_ray import OnRay
from irl.jobs.ensemble import fit_ensemble
from irl.runs import file_sha256
from tests import fakes
from tests.clusters import engine_on, two_nodes

pytest.importorskip("ray")
pytestmark = [
    pytest.mark.slow_extra,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning"),
]


@pytest.fixture(scope="module")
def engine() -> Iterator[OnRay]:
    with two_nodes() as cluster, engine_on(cluster) as made:
        yield made


def test_members_of_an_ensemble_are_trained_elsewhere_to_the_same_weights(
    engine: OnRay, tmp_path: Path
):
    base = fakes.save(fakes.model(), tmp_path / "base")
    rows = [
        {"prompt": f"what of {n}?", "chosen": f"a fine {n} dog", "rejected": f"no {n} idea"}
        for n in range(16)
    ]
    file = tmp_path / "pairs.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    given = {
        "preferences": str(file),
        "form": "transformer",
        "base": str(base),
        "learning": {"seeds": (0, 1), "epochs": 1, "prompts_per_step": 4},
    }
    runs = [
        fit_ensemble(None, tmp_path / name, engine=one, **given).run
        for name, one in (("local", HERE), ("ray", engine))
    ]
    assert runs[0].run_id == runs[1].run_id
    folders = [run.path / "reward" for run in runs]
    weights = sorted(path.relative_to(folders[0]) for path in folders[0].rglob("*.safetensors"))
    assert len(weights) >= 2
    for name in weights:
        assert file_sha256(folders[0] / name) == file_sha256(folders[1] / name), name
    assert len(engine.nodes) == 2


def test_audits_are_carried_out_side_by_side_and_one_that_fails_stops_no_other(
    engine: OnRay, tmp_path: Path
):
    aligned, reference = fakes.save_pair(tmp_path)
    prompts = tmp_path / "prompts.jsonl"
    rows = [json.dumps({"prompt": f"what do you think of {n} dogs?"}) for n in range(6)]
    prompts.write_text("\n".join(rows), encoding="utf-8")
    one = {
        "reference": str(reference),
        "prompts": str(prompts),
        "sampling": {"responses_per_prompt": 2, "max_new_tokens": 6},
    }
    lines = [
        {**one, "aligned": str(aligned), "name": "first"},
        {**one, "aligned": str(tmp_path / "nowhere"), "name": "none"},
        {**one, "aligned": str(aligned), "seed": 1, "name": "third"},
    ]
    file = tmp_path / "many.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    here, there = tmp_path / "here", tmp_path / "there"
    told = [(one.name, one.state, one.passed, one.said) for one in run_audits(file, here)]
    first = run_audits(file, there, engine=engine)
    assert [(one.name, one.state, one.passed, one.said) for one in first] == told
    for name in ("first", "third"):
        for table in ("responses.parquet", "tokens.parquet", "aspects.parquet"):
            assert file_sha256(here / name / table) == file_sha256(there / name / table)
    again = [one.state for one in run_audits(file, there, engine=engine)]
    assert again == ["finished before", "failed", "finished before"]
