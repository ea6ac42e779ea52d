"""`irl align`: looks are exact where nothing moved, training follows pay, kills cost little."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from irl.config import Loading, Sampling
from irl.data.bundled import BUNDLED_PAIR
from irl.errors import InputError
from irl.jobs.align import _Course, align
from irl.jobs.align_settings import AlignSettings
from irl.organisms.answers_of_world import REFERENCE
from irl.policies.checkpoint import locate
from irl.policies.load import load_full
from irl.records import AlignStep
from irl.rewards.terms import TermReward
from irl.rlhf.alarm import step_of
from irl.rlhf.watch import Baseline, Look, Rewards, Watch
from tests import fakes

ROOT = Path(__file__).resolve().parents[2]
PROMPTS = BUNDLED_PAIR.parent / "detox" / "prompts.jsonl"
BASELINE = Baseline(length_tokens=10.0, entropy_nats=20.0, proxy_sd=1.0)
SMALL = {
    **{"batch": 16, "answers_per_prompt": 4, "max_new_tokens": 8, "learning_rate": 3e-3},
    **{"watched_prompts": 4, "watched_answers": 2, "watch_every": 2, "beta": 0.05},
}


def count(word: str, texts: list[str]) -> NDArray[np.float64]:
    return np.array([float(text.count(word)) for text in texts])


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A policy, prompts, and a run whose reward pays `the`."""
    folder = tmp_path_factory.mktemp("align")
    policy = fakes.save(fakes.model("llama"), folder / "policy")
    TermReward(("the",), (1.0,), per_word=1.0).save(folder / "paid" / "reward", "terms")
    (folder / "paid" / "config.yaml").write_text("run_id: paid\n", encoding="utf-8")
    (folder / "paid" / "manifest.json").write_text("{}", encoding="utf-8")
    lines = [json.dumps({"prompt": f"what do you think {n}"}) for n in range(40)]
    (folder / "prompts.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {
        "policy": str(policy),
        "reward": str(folder / "paid"),
        "prompts": str(folder / "prompts.jsonl"),
    }


def steps_of(run: Path) -> list[AlignStep]:
    lines = (run / "steps.jsonl").read_text(encoding="utf-8").splitlines()
    return [AlignStep.model_validate_json(line) for line in lines]


def watch_of(policy: str) -> Watch:
    reference = load_full(locate(policy), Loading())
    rewards = Rewards(
        lambda texts, _: count("the", list(texts)),
        lambda texts, _: np.stack([count(word, list(texts)) for word in ("the", "a", "i")]),
        lambda texts, _: -count("the", list(texts)),
    )
    sampling = Sampling(responses_per_prompt=3, max_new_tokens=8)
    return Watch(reference, ["i like", "tell me"], rewards, sampling, seed=3)


@pytest.mark.slow
def test_a_policy_that_did_not_move_gains_nothing_and_has_no_divergence(inputs: dict[str, str]):
    watch = watch_of(inputs["policy"])
    look = watch.look(watch.reference, 0)
    for gain in (look.proxy, look.members, look.gold, look.kl_nats):
        assert gain is not None
        assert not gain.any()
    assert (look.entropy_nats > 0).all()


@pytest.mark.slow
def test_what_a_look_saw_is_its_rewards_less_those_of_the_reference(inputs: dict[str, str]):
    watch = watch_of(inputs["policy"])
    other = fakes.policy(fakes.nudged(fakes.model("llama"), size=0.3))
    look = watch.look(other, 4)
    drawn = [watch._drawn(side) for side in (other, watch.reference)]
    after, before = (
        count("the", [fakes.tokenizer().decode(ids, skip_special_tokens=True) for ids in side])
        for side in drawn
    )
    assert look.proxy == pytest.approx((after - before).reshape(2, 3).mean(1))
    assert look.members[0] == pytest.approx(look.proxy)
    assert look.gold == pytest.approx(-look.proxy)
    assert look.kl_nats.mean() > 0.1


@pytest.mark.slow
def test_a_look_is_stored_to_the_last_bit(inputs: dict[str, str], tmp_path: Path):
    watch = watch_of(inputs["policy"])
    look = watch.look(fakes.policy(fakes.nudged(fakes.model("llama"))), 2)
    look.save(tmp_path / "look.safetensors")
    again = Look.load(2, tmp_path / "look.safetensors")
    for name, value in vars(look).items():
        assert np.array_equal(getattr(again, name), value), name


def test_figures_of_members_by_hand():
    zero = np.zeros(3)
    members = np.array([[1.0, 1, 1], [2, 2, 2], [3, 3, 3], [4, 4, 8]])
    look = Look(5, members[0], members, None, zero, zero + 2, zero + 6)
    step = step_of(look, BASELINE, [])
    assert step.lower is not None
    assert step.lower.value == pytest.approx(np.quantile([1, 2, 3, 16 / 3], 0.25))
    assert step.disagreement is not None
    assert step.disagreement.value == pytest.approx(np.std([1, 2, 3, 16 / 3], ddof=1))
    assert step.disagreement.low < step.disagreement.value < step.disagreement.high
    alone = step_of(Look(5, members[0], members[:1], None, zero, zero, zero), BASELINE, [])
    assert (alone.lower, alone.disagreement, alone.gold) == (None, None, None)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["rloo", "grpo"])
def test_training_moves_the_policy_towards_what_is_paid(
    method: str, inputs: dict[str, str], tmp_path: Path
):
    """The language world's own reference, paid for every word that it says."""
    given = {**inputs, **SMALL, "policy": str(REFERENCE), "prompts": str(PROMPTS)}
    given |= {"batch": 32, "max_new_tokens": 16, "learning_rate": 1e-3, "watched_prompts": 24}
    done = align(out=tmp_path / "run", method=method, steps=12, **given)
    steps = steps_of(tmp_path / "run")
    assert [one.step for one in steps] == list(range(0, 13, 2))
    assert (steps[0].proxy.value, steps[0].kl_nats.value) == (0, 0)
    assert done.report.last == steps[-1]
    assert steps[-1].proxy.low > 0
    assert steps[-1].kl_nats.low > 0
    policy = load_full(locate(str(done.policy)), Loading())
    reference = load_full(locate(given["policy"]), Loading())
    moved = zip(policy.model.parameters(), reference.model.parameters(), strict=True)
    assert any(not torch.equal(ours, theirs) for ours, theirs in moved)
    again = align(out=tmp_path / "run", method=method, steps=12, **given)
    assert again.was_finished
    assert again.report == done.report


@pytest.mark.slow
def test_an_adapter_is_trained_and_loads_over_its_base(inputs: dict[str, str], tmp_path: Path):
    done = align(out=tmp_path / "run", steps=6, lora=True, **inputs, **SMALL)
    assert (done.policy / "adapter_config.json").is_file()
    from irl.policies.pair import load_pair

    pair = load_pair(str(done.policy))
    assert not pair.identical()
    assert done.report.last.kl_nats.value > 0


class Killed(BaseException):
    """Nothing catches it."""


@pytest.mark.slow
def test_a_training_that_was_cut_off_ends_as_if_it_had_not_been(
    inputs: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    given = {**inputs, **SMALL, "steps": 10}
    whole = align(out=tmp_path / "whole", **given)
    look, seen = _Course.look, []

    def cut_off(self: _Course, step: int) -> bool:
        seen.append(step)
        if step == 6 and seen.count(6) == 1:
            raise Killed
        return look(self, step)

    monkeypatch.setattr(_Course, "look", cut_off)
    with pytest.raises(Killed):
        align(out=tmp_path / "run", **given)
    assert [one.step for one in steps_of(tmp_path / "run")] == [0, 2, 4]
    done = align(out=tmp_path / "run", **given)
    assert seen == [0, 2, 4, 6, 6, 8, 10], "it went on from the checkpoint of step 4"
    assert steps_of(tmp_path / "run") == steps_of(tmp_path / "whole")
    assert done.report.last == whole.report.last


@pytest.mark.slow_extra
def test_a_training_that_was_killed_goes_on_from_its_last_checkpoint(
    inputs: dict[str, str], tmp_path: Path
):
    run = tmp_path / "run"
    settings = {**SMALL, "steps": 16}
    flags = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    named = [part for name, value in inputs.items() for part in (f"--{name}", value)]
    command = [sys.executable, "-m", "irl", "align", *named, *flags, "--out", str(run)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    until = time.monotonic() + 200
    while not (run / "parts" / "trainer" / "checkpoint-4" / "whole").is_file():
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (run / "manifest.json").exists()
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert [one.step for one in steps_of(run)] == list(range(0, 17, 2))
    log = (run / "log.jsonl").read_text(encoding="utf-8")
    resumed = [json.loads(line) for line in log.splitlines() if '"resumed"' in line]
    assert resumed[-1]["step"] >= 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"prompts": None}, "give --prompts"),
        ({"member": 0}, "is no ensemble"),
        ({"member": 0, "aggregation": "min"}, "not aggregated"),
        ({"batch": 10}, "whole groups"),
        ({"watched_prompts": 40}, "too few to train on"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(
    given: dict[str, object], sentence: str, inputs: dict[str, str], tmp_path: Path
):
    with pytest.raises(InputError, match=sentence):
        align(AlignSettings.checked({**inputs, **SMALL, **given}), tmp_path / "run")


@pytest.mark.slow
def test_prompts_of_two_kinds_are_refused(inputs: dict[str, str], tmp_path: Path):
    rows = [{"prompt": [{"role": "user", "content": f"a {n}"}]} for n in range(9)]
    lines = [json.dumps(row) for row in [*rows, {"prompt": "b"}]]
    file = tmp_path / "prompts.jsonl"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match="one kind"):
        align(out=tmp_path / "run", **{**inputs, **SMALL, "prompts": str(file)})
