"""`irl prompts` on the command line: what it prints, that runs are shown, how it says no."""

import json
from pathlib import Path

import pytest

from irl.evaluation.prompt_words import prompts_summary
from irl.records import PromptsReport
from irl.rewards.terms import TermReward
from tests.irl.test_prompts_job import certain, write
from tests.test_command_line import assert_refused, irl

FAST = tuple(
    part
    for setting in ("seeds=[0,1]", "epochs=12", "learning_rate=0.1", "patience=4")
    for part in ("--set", f"learning.{setting}")
)


@pytest.mark.slow
def test_a_choice_is_printed_and_shown_again(tmp_path: Path):
    rows = certain()
    rows.append({"query": "a", "prompt": "b", "outcome": 3})
    rows += [{**row, "query": f"{row['query']}\x1b[31m"} for row in rows[:3]]
    log, run = write(tmp_path / "log.jsonl", rows), tmp_path / "run"
    done = irl("prompts", "--log", log, *FAST, "--out", run)
    assert done.code == 0, done.err
    for words in (
        "best single prompt",
        "oracle",
        "1-NN",
        "Advised: ",
        "1 refused rows",
        "Choices: ",
    ):
        assert words in done.out
    assert "\x1b" not in done.out
    assert "outcome is 3" in done.err
    shown = irl("runs", "show", run)
    assert shown.out.strip() in done.out
    asked = irl("prompts", "--log", log, *FAST, "--out", run, "--json")
    assert "finished" in asked.err
    report = PromptsReport.model_validate_json(asked.out)
    assert report.advice == "per query"
    assert json.loads(asked.out)["schema"] == "irl.prompts/1"
    assert prompts_summary(report) in done.out


def test_a_recovered_reward_is_refused_in_one_sentence(tmp_path: Path):
    run = tmp_path / "recovered"
    TermReward(("good",), (1.0,)).save(run / "reward", "terms")
    (run / "config.yaml").write_text("run_id: x\ncommand: recover\n", encoding="utf-8")
    asked = write(tmp_path / "q.jsonl", [{"query": "a"}, {"query": "b"}])
    among = write(tmp_path / "c.jsonl", [{"prompt": "x"}, {"prompt": "y"}])
    given = ("--policy", tmp_path, "--reward", run, "--queries", asked, "--candidates", among)
    reason = "rewards of different prompts cannot be compared"
    assert_refused(irl("prompts", *given, "--absolute", "--out", tmp_path / "run"), reason)
    assert not (tmp_path / "run").exists()


def test_what_leaves_nothing_to_choose_is_refused(tmp_path: Path):
    assert_refused(irl("prompts"), "either --log, or --policy")
    one = [row for row in certain() if row["prompt"] == "steps"]
    log = write(tmp_path / "log.jsonl", one)
    assert_refused(irl("prompts", "--log", log, "--out", tmp_path / "run"), "nothing to choose")
