"""`irl extrapolate`: the ends of the line are the pair, and all that is said of it has its KL."""

import json
from pathlib import Path

import pytest

from explain.jobs.extrapolate import ExtrapolationSettings, extrapolate
from irl.errors import InputError, PolicyError
from irl.rewards.terms import TermReward
from tests import fakes


def inputs(folder: Path) -> dict[str, object]:
    aligned, reference = fakes.save_pair(folder)
    TermReward(("the",), (1.0,), per_word=1.0).save(folder / "reward", "terms")
    lines = [json.dumps({"prompt": f"what do you think {n}"}) for n in range(4)]
    (folder / "prompts.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {
        **{"aligned": str(aligned), "reference": str(reference)},
        **{"prompts": str(folder / "prompts.jsonl"), "reward": str(folder / "reward")},
        **{"gold": str(folder / "reward"), "max_new_tokens": 8, "answers": 2},
    }


@pytest.mark.slow
def test_the_ends_of_the_line_are_the_pair_and_controls_go_beside_it(tmp_path: Path):
    given = {**inputs(tmp_path), "alphas": (-1.0, 0.0, 1.0), "random_directions": 1}
    done = extrapolate(out=tmp_path / "run", **given)
    points = {(at.path, at.alpha): at for at in done.report.points}
    assert set(points) == {
        *((path, alpha) for path in ("weights", "logits") for alpha in (-1.0, 0.0, 1.0)),
        *(("random 0", alpha) for alpha in (-1.0, 1.0)),
    }
    start = points["weights", -1.0]
    assert (start.reward.value, start.kl_nats.value) == (0, 0)
    assert all(gain.value == 0 for gain in start.aspects.values())
    assert points["logits", -1.0].kl_nats.value == pytest.approx(0, abs=1e-4)
    assert points["weights", 1.0].kl_nats.value > points["weights", 0.0].kl_nats.value > 0
    for at in points.values():
        assert at.gold == at.reward
        assert "length" in at.aspects
    assert done.report.random_gain is not None
    assert done.report.random_gain.n == 1
    again = extrapolate(out=tmp_path / "run", **given)
    assert again.was_finished
    assert again.report == done.report


@pytest.mark.slow
def test_an_adapter_is_refused(tmp_path: Path):
    given = inputs(tmp_path)
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(PolicyError, match="is an adapter; merge it"):
        extrapolate(out=tmp_path / "run", **{**given, "aligned": str(adapter)})


def test_what_is_missing_is_named():
    with pytest.raises(InputError, match="give --prompts"):
        ExtrapolationSettings.checked({"aligned": "a", "reference": "r"})
    with pytest.raises(InputError, match="irl recover"):
        ExtrapolationSettings.checked({"aligned": "a", "reference": "r", "prompts": "p"})
