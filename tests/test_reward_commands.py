"""The commands about rewards from outside: what they write, what they print, how they say no."""

import json
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from irl.records import BestOfNReport
from irl.rewards.ensemble import Ensemble
from irl.rewards.terms import TermReward
from tests.test_command_line import ROOT, Done, assert_refused, irl, started

LEARNING = ("--set", "learning.epochs=30", "--set", "learning.learning_rate=0.02")
FLAGS = ("--form", "linear", "--members", 3, *LEARNING)
PROMPTS = ("say 1", "say 2", "say 3")
TEXTS = ("a lovely day", "a stupid day", "the day")


@dataclass(frozen=True)
class Fitted:
    """A finished run of `irl ensemble`, its preferences and what it printed."""

    run: Path
    preferences: Path
    said: Done

    def inside(self) -> list[float]:
        """Its rewards of TEXTS, as they are known in this process."""
        return Ensemble.load(self.run / "reward")(TEXTS, PROMPTS).double().tolist()


def write(file: Path, rows: list[dict[str, Any]]) -> Path:
    file.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    return file


def pairs(n: int = 80) -> list[dict[str, Any]]:
    """`lovely` wins over `stupid`."""
    return [
        {
            "prompt": f"say {at}",
            "chosen": f"{at % 7} lovely day {at}",
            "rejected": f"{at % 5} stupid day {at}",
        }
        for at in range(n)
    ]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    folder = tmp_path_factory.mktemp("rewards")
    file, run = write(folder / "pairs.jsonl", pairs()), folder / "run"
    done = irl("ensemble", "--preferences", file, *FLAGS, "--out", run)
    assert done.code == 0, done.err
    return Fitted(run, file, done)


@pytest.mark.slow
def test_an_ensemble_says_how_right_how_sure_and_how_agreed_it_is(fitted: Fitted):
    for words in ("3 members (linear on", "ECE", "Brier", "Disagreement of members", "Reward: "):
        assert words in fitted.said.out
    again = irl("ensemble", "--preferences", fitted.preferences, *FLAGS, "--out", fitted.run)
    assert again.code == 0
    assert "finished" in again.err
    asked = irl(
        "ensemble", "--preferences", fitted.preferences, *FLAGS, "--out", fitted.run, "--json"
    )
    assert json.loads(asked.out)["members"] == 3


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"prompt": "a", "chosen": "x"}], ["prompt, chosen", "expected"]),
        (
            [{"prompt": str(n), "chosen": "x", "rejected": "x"} for n in range(9)],
            ["chosen equals rejected"],
        ),
        ([{"text": f"x {n}", "label": 1} for n in range(9)], ["one class states no preference"]),
        ([{"prompt": "a", "chosen": "x", "rejected": "y"}], ["one prompt"]),
    ],
    ids=["columns", "equal texts", "one class", "one pair"],
)
def test_preferences_that_state_nothing_are_refused(
    rows: list[dict[str, Any]], words: list[str], tmp_path: Path
):
    file = write(tmp_path / "pairs.jsonl", rows)
    assert_refused(irl("ensemble", "--preferences", file, "--out", tmp_path / "run"), *words)
    assert not (tmp_path / "run" / "reward").exists()


@pytest.mark.slow
def test_what_is_odd_about_preferences_is_counted_in_words(tmp_path: Path):
    turned = [{**row, "chosen": row["rejected"], "rejected": row["chosen"]} for row in pairs()[:2]]
    odd = [
        {"prompt": "a", "chosen": "lovely", "rejected": ""},
        {"prompt": "b", "chosen": "x", "rejected": "x"},
        {"prompt": "c", "chosen": "x"},
    ]
    file = write(tmp_path / "pairs.jsonl", pairs() + turned + odd)
    done = irl("ensemble", "--preferences", file, *FLAGS, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    for words in ("1 empty responses", "4 contradictory", "2 refused rows"):
        assert words in done.out
    assert "also labelled the other way round" in done.out


@pytest.mark.slow
def test_exports_are_written_once_and_what_cannot_be_is_said(fitted: Fitted, tmp_path: Path):
    done = irl("export", fitted.run, tmp_path / "out")
    assert done.code == 0, done.err
    written = {Path(line).name for line in done.out.splitlines()}
    assert written == {"trl_reward.py", "openrlhf_reward.py", "verl_reward.py"}
    assert "can be exported as directories" in done.err
    assert_refused(irl("export", fitted.run, tmp_path / "out"), "not an empty folder")
    assert_refused(irl("export", tmp_path / "nowhere", tmp_path / "new"), "nowhere")


@pytest.mark.slow
def test_a_server_of_its_own_process_answers_with_the_rewards_known_here(
    fitted: Fitted, tmp_path: Path
):
    process = started("serve", fitted.run, "--port", 0, folder=tmp_path)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        queries = [prompt + text for prompt, text in zip(PROMPTS, TEXTS, strict=True)]
        asked = {"query": queries, "prompts": list(PROMPTS), "labels": [""] * 3}
        request = urllib.request.Request(
            address, json.dumps(asked).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            said = json.load(answer)
    finally:
        process.terminate()
        process.communicate(timeout=60)
    inside = fitted.inside()
    assert said["rewards"] == pytest.approx(inside, abs=1e-5)
    assert said["scores"] == pytest.approx(torch.tensor(inside).sigmoid().tolist(), abs=1e-5)
    assert len(said["extra_logs"]["member_spread"]) == 3


@pytest.mark.slow
def test_a_reward_is_scored_on_bench_data_and_judges_answers(fitted: Fitted, tmp_path: Path):
    rows = [{**row, "id": at, "subset": "easy"} for at, row in enumerate(pairs(6))]
    rows += [
        {"id": at, "subset": "hard", "prompt": "p", "chosen": f"a{at}", "rejected": f"b{at}"}
        for at in (7, 8)
    ]
    data, out = write(tmp_path / "bench.jsonl", rows), tmp_path / "out"
    done = irl("rewardbench", fitted.run, "--data", data, "--out", out)
    assert done.code == 0, done.err
    lines = {line.split()[0]: line for line in done.out.splitlines()}
    assert "n 8, 2 ties" in lines["overall"]
    assert "0.500" in lines["hard"]
    assert (out / "results" / "run.json").is_file()

    judged = tmp_path / "judged.jsonl"
    done = irl("judge", fitted.run, "--preferences", fitted.preferences, "--out", judged)
    assert done.code == 0, done.err
    assert "80 preferences from 80 pairs" in done.out
    assert "Position bias 0.000" in done.out
    assert "agreement with labels 1.000" in done.out
    first = json.loads(judged.read_text(encoding="utf-8").splitlines()[0])
    assert set(first) == {"prompt", "chosen", "rejected", "probability"}


@pytest.mark.slow
def test_bad_input_of_the_other_commands_is_one_sentence(fitted: Fitted, tmp_path: Path):
    bench = write(tmp_path / "bench.jsonl", [{"prompt": "a"}])
    out = tmp_path / "out"
    assert_refused(irl("rewardbench", fitted.run, "--data", bench, "--out", out), "chosen+rejected")
    good = write(tmp_path / "good.jsonl", pairs(3))
    assert_refused(irl("rewardbench", tmp_path / "none", "--data", good, "--out", out), "none")
    assert_refused(irl("judge", fitted.run, "--out", out), "--answers or --preferences")
    one = write(tmp_path / "samples.jsonl", [{"prompt": "a", "response": "x"}])
    assert_refused(
        irl("judge", fitted.run, "--answers", one, "--out", out), "two different answers"
    )
    assert_refused(irl("serve", tmp_path / "none"), "none")


@pytest.mark.slow
def test_a_reward_picks_among_answers_and_gold_says_what_that_was_worth(
    fitted: Fitted, tmp_path: Path
):
    gold = tmp_path / "gold"
    TermReward(("lovely", "rain"), (1.0, 0.5)).save(gold / "reward", "terms")
    (gold / "config.yaml").write_text("run_id: gold\n", encoding="utf-8")
    words = ("lovely", "stupid", "day", "rain", "lovely rain", "stupid rain")
    rows = [{"prompt": f"say {n}", "response": f"{word} {n}"} for n in range(9) for word in words]
    rows.append({"prompt": "alone", "response": "lovely"})
    answers = write(tmp_path / "answers.jsonl", rows)
    asked = ("best-of-n", fitted.run, "--answers", answers, "--gold", gold)
    sizes = ("--n", 2, "--n", 4, "--n", 6, "--n", 9)
    done = irl(*asked, *sizes, "--json")
    assert done.code == 0, done.err
    report = BestOfNReport.model_validate_json(done.out)
    assert (report.prompts, report.answers) == (9, 6)
    assert report.left_out["at_prompts_with_too_few"] == 1
    assert [at.n for at in report.points] == [1, 2, 4, 6]
    assert [caveat.code for caveat in report.caveats] == ["too-few-answers"]
    first, *_, best = report.points
    assert first.gold is not None
    assert (first.gold.value, first.kl_nats) == (0, 0)
    assert best.gold is not None
    mean = (1 + 0 + 0 + 0.5 + 1.5 + 0.5) / 6
    assert best.gold.value <= 1.5 - mean + 1e-9, "nothing beats the best of six by gold"
    assert best.gold.value >= 1 - mean - 1e-9, "lovely is what was learnt"
    told = irl(*asked, *sizes, "--out", tmp_path / "picked")
    assert "gold = d (alpha - beta d)" in told.out
    kept = tmp_path / "picked" / "best_of_n.json"
    assert BestOfNReport.model_validate_json(kept.read_bytes()) == report
    written = kept.stat().st_mtime_ns
    assert irl(*asked, *sizes, "--out", tmp_path / "picked").out == told.out
    assert kept.stat().st_mtime_ns == written, "a finished run is read"
    assert_refused(irl(*asked, "--out", tmp_path / "picked"), "another run")
    assert_refused(irl("best-of-n", fitted.run, "--answers", fitted.preferences), "response")
    assert_refused(irl(*asked, "--n", 0), "at least 1")


@pytest.mark.slow
def test_trust_says_what_it_needs(fitted: Fitted, tmp_path: Path):
    """Its ensemble reads words, so that nothing names the policy that wrote the pairs."""
    asked = ("trust", "--reward", fitted.run, "--out", tmp_path / "run")
    assert_refused(irl(*asked), "give --responses, or --policy")
    policy = ("--policy", ROOT / "artifacts" / "models" / "world" / "llama")
    assert_refused(irl(*asked, *policy), "give --reference")
    assert_refused(irl("trust", *policy), "give --reward")
    assert_refused(irl("trust", "--reward", "nowhere", *policy), "nowhere")
