"""docs/align_with_trl.py: TRL alone with the exported reward, beside `irl align`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from irl.bootstrap import crossed_mean
from irl.config import Loading, Sampling
from irl.data import read_prompts
from irl.jobs.align import align
from irl.jobs.ensemble import fit_ensemble
from irl.jobs.exporting import export
from irl.organisms.answers_of_world import REFERENCE, labelled_pairs, trained_prompts, unconditional
from irl.organisms.grammar import World
from irl.organisms.planted import plants
from irl.policies.checkpoint import locate
from irl.policies.load import load_full
from irl.rlhf.watch import Rewards, Watch

ROOT = Path(__file__).resolve().parents[1]
STEPS = 8


def written(file: Path, rows: list[dict[str, object]]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


@pytest.mark.slow
def test_the_script_gains_as_much_gold_as_the_command(tmp_path: Path):
    pairs = written(tmp_path / "pairs.jsonl", labelled_pairs(0, "manners", 120, draw=0))
    prompts = written(tmp_path / "prompts.jsonl", trained_prompts(0, 400))
    learning = {"epochs": 40, "patience": 5, "seeds": (0, 1, 2)}
    reads = {"features": "embeddings", "base": str(REFERENCE)}
    given = {"preferences": str(pairs), "learning": learning, "confidences": (), **reads}
    ensemble = fit_ensemble(out=tmp_path / "ensemble", **given)
    export(str(ensemble.run.path), tmp_path / "exported")
    done = align(
        out=tmp_path / "run",
        reward=str(ensemble.run.path),
        policy=str(REFERENCE),
        prompts=str(prompts),
        steps=STEPS,
        batch=64,
        watched_prompts=8,
        watch_every=STEPS,
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    script = ROOT / "docs" / "align_with_trl.py"
    asked = [tmp_path / "exported", REFERENCE, prompts, tmp_path / "policy", STEPS]
    ran = subprocess.run(
        [sys.executable, str(script), *map(str, asked)],
        cwd=tmp_path,
        env=environment | {"HF_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]

    plant = unconditional(plants(World.draw(0)), "manners")

    def gold(texts: list[str], _: object) -> np.ndarray:
        return plant.reward(texts, [True] * len(texts))

    held_out = [
        row.prompt for row in read_prompts(REFERENCE.parents[1] / "detox/prompts.jsonl").rows
    ]
    watch = Watch(
        load_full(locate(str(REFERENCE)), Loading()),
        held_out[:48],
        Rewards(gold, lambda texts, asked: gold(texts, asked)[None]),
        Sampling(responses_per_prompt=4),
        seed=5,
    )
    gains = [
        watch.look(load_full(locate(str(folder)), Loading()), STEPS).proxy
        for folder in (tmp_path / "policy", done.policy)
    ]
    script_gain, command_gain = (crossed_mean(gain) for gain in gains)
    assert script_gain is not None
    assert command_gain is not None
    assert script_gain.low > 0
    assert script_gain.value >= 0.7 * command_gain.value
