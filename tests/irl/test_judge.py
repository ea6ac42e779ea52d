"""Preferences by a judge: both orders are asked, and a taste for a position cancels."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from irl.config import Loading
from irl.ensembles.judge import Judged, _question, by_model
from irl.errors import InputError
from irl.jobs.judging import JudgingSettings, judge
from irl.jobs.named_reward import NamedReward, named_reward
from irl.policies.reward_model import load_scorer
from irl.rewards.terms import TermReward
from tests import fakes


def long_model() -> PreTrainedModel:
    """With room for a question."""
    made = fakes.model()
    made.config.max_position_embeddings = 512  # rotary: nothing else depends on it
    return made


def rewarded(folder: Path) -> str:
    TermReward(("good", "fool"), (1.0, -2.0)).save(folder / "run" / "reward", "terms")
    (folder / "run" / "config.yaml").write_text("run_id: x\n", encoding="utf-8")
    return str(folder / "run")


def write(file: Path, *rows: dict[str, object]) -> str:
    file.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    return str(file)


def test_a_taste_for_the_first_position_cancels_and_is_reported():
    true = np.array([0.8, 0.3, 0.5])
    judged = Judged(true + 0.15, 1 - true + 0.15)
    assert judged.probability == pytest.approx(true)
    assert judged.position_bias == pytest.approx(0.15)
    assert judged.consistent.tolist() == [True, True, False]


def test_a_model_is_asked_in_both_orders():
    policy = fakes.policy(long_model())
    pairs = (["say {first}"], [" a fine idea"], [" stupid"])
    judged = by_model(policy, *pairs, "never")
    turned = by_model(policy, pairs[0], pairs[2], pairs[1], "never")
    assert judged.given == pytest.approx(turned.swapped, abs=1e-6)
    assert judged.probability == pytest.approx(1 - turned.probability, abs=1e-6)
    assert judged.position_bias == pytest.approx(turned.position_bias, abs=1e-6)


@pytest.mark.slow
def test_what_a_model_cannot_read_whole_it_does_not_judge():
    policy = fakes.policy(long_model())
    judged = by_model(policy, ["a", "b"], ["good", "good " * 400], ["bad", "bad"], "never")
    assert np.isfinite(judged.probability).tolist() == [True, False]


def test_braces_in_answers_stay_what_they_are():
    said = _question("{second}", "{prompt}", "b")
    assert said.count("{second}") == 1
    assert said.count("{prompt}") == 1


def test_a_reward_judges_and_what_it_cannot_tell_apart_is_counted(tmp_path: Path):
    rows = [("a", "good"), ("a", "fool"), ("b", "x"), ("b", "y"), ("c", "x"), ("d", "x")]
    answers = write(tmp_path / "s.jsonl", *({"prompt": p, "response": r} for p, r in rows))
    out = tmp_path / "preferences.jsonl"
    report = judge(JudgingSettings(rewarded(tmp_path), answers=answers), out)
    (line,) = out.read_text(encoding="utf-8").splitlines()
    said = json.loads(line)
    assert (said["chosen"], said["rejected"]) == ("good", "fool")
    assert said["probability"] == pytest.approx(1 / (1 + np.exp(-3)))
    assert (report.pairs, report.undecided) == (2, 1)
    assert report.left_out["without_a_partner"] == 2
    assert report.position_bias is not None
    assert report.position_bias.value == pytest.approx(0)
    assert report.agreement is None


def test_agreement_with_labels_does_not_know_which_answer_was_chosen(tmp_path: Path):
    rows = [{"prompt": str(n), "chosen": f"good {n}", "rejected": f"fool {n}"} for n in range(9)]
    rows.append({"prompt": "9", "chosen": "fool", "rejected": "good"})
    labels = write(tmp_path / "p.jsonl", *rows)
    settings = JudgingSettings(rewarded(tmp_path), preferences=labels)
    report = judge(settings, tmp_path / "out.jsonl")
    assert report.agreement is not None
    assert report.agreement.value == pytest.approx(0.9)


def test_nothing_to_judge_is_said(tmp_path: Path):
    run = rewarded(tmp_path)
    one = write(tmp_path / "s.jsonl", {"prompt": "a", "response": "x"})
    with pytest.raises(InputError, match="two different answers"):
        judge(JudgingSettings(run, answers=one), tmp_path / "out.jsonl")
    with pytest.raises(InputError, match="either --answers or --preferences"):
        judge(JudgingSettings(run), tmp_path / "out.jsonl")
    two = write(tmp_path / "t.jsonl", *({"prompt": "a", "response": r} for r in "xy"))
    with pytest.raises(InputError, match="prefers no answer"):
        judge(JudgingSettings(run, answers=two), tmp_path / "out.jsonl")


def test_scores_that_are_not_finite_are_no_preferences(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run = rewarded(tmp_path)

    def some(_: NamedReward, texts: list[str], _prompts: object) -> np.ndarray:
        return np.array([np.nan if "2" in text else len(text) for text in texts], dtype=float)

    monkeypatch.setattr(NamedReward, "__call__", some)
    rows = [{"prompt": str(n), "chosen": f"good {n}", "rejected": f"a {n}"} for n in range(4)]
    out = tmp_path / "out.jsonl"
    report = judge(JudgingSettings(run, preferences=write(tmp_path / "p.jsonl", *rows)), out)
    assert (report.pairs, report.left_out["scored_not_finite"]) == (3, 1)
    assert report.agreement is not None
    assert report.agreement.value == 1
    assert "NaN" not in out.read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_reward_models_directory_judges_by_its_score(tmp_path: Path):
    scorer = load_scorer(str(fakes.save(fakes.model(), tmp_path / "base")), Loading())
    with torch.no_grad():
        scorer.score.weight.normal_(generator=torch.Generator().manual_seed(0))
    scorer.save(tmp_path / "model")
    rows = [{"prompt": "a", "chosen": "a fine idea", "rejected": "a stupid dog"}]
    labels = write(tmp_path / "p.jsonl", *rows)
    judge(JudgingSettings(str(tmp_path / "model"), preferences=labels), tmp_path / "out.jsonl")
    said = json.loads((tmp_path / "out.jsonl").read_text(encoding="utf-8"))
    scores = named_reward(str(tmp_path / "model"))([said["chosen"], said["rejected"]], ["a", "a"])
    assert said["probability"] == pytest.approx(1 / (1 + np.exp(scores[1] - scores[0])), abs=1e-6)


def test_what_is_judged_is_not_written_over(tmp_path: Path):
    labels = write(tmp_path / "p.jsonl", {"prompt": "a", "chosen": "good", "rejected": "fool"})
    with pytest.raises(InputError, match="give another --out"):
        judge(JudgingSettings(rewarded(tmp_path), preferences=labels), Path(labels))


def test_answers_said_twice_are_compared_once(tmp_path: Path):
    rows = [{"prompt": "a", "response": text} for text in ("good", "good", "fool", "fool")]
    answers = write(tmp_path / "s.jsonl", *rows)
    settings = JudgingSettings(rewarded(tmp_path), answers=answers)
    report = judge(settings, tmp_path / "out.jsonl")
    assert (report.pairs, report.left_out["equal_texts"]) == (1, 2)
