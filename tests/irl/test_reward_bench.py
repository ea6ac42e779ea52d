"""RewardBench-format files, end to end: what counts, what ties, and what is written."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from irl.config import Loading
from irl.errors import InputError
from irl.evaluation.reward_bench import SECTIONS, VERSION_2, Scored, sections, ties_score
from irl.jobs.named_reward import named_reward
from irl.jobs.reward_bench import reward_bench
from irl.policies.reward_model import load_scorer
from irl.rewards.terms import TermReward
from tests import fakes

ONE = [
    {"id": 0, "subset": "easy", "prompt": "hi", "chosen": "good day", "rejected": "fool"},
    {"id": 1, "subset": "easy", "prompt": "ho", "chosen": "a day", "rejected": "a week"},
    {"id": 2, "subset": "hard", "prompt": "he", "chosen": "good fool", "rejected": "good"},
    {"id": 3, "subset": "hard", "prompt": "hu", "chosen": "good", "rejected": "day"},
]


def rewarded(folder: Path) -> str:
    """A run whose reward pays `good` and charges for `fool`."""
    TermReward(("good", "fool"), (1.0, -2.0)).save(folder / "run" / "reward", "terms")
    (folder / "run" / "config.yaml").write_text("run_id: x\n", encoding="utf-8")
    return str(folder / "run")


def write(folder: Path, rows: list[dict[str, object]]) -> str:
    file = folder / "bench.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    return str(file)


def test_pairs_score_end_to_end_with_ties_as_one_half(tmp_path: Path):
    run, out = rewarded(tmp_path), tmp_path / "out"
    report = reward_bench(run, write(tmp_path, [*ONE, {"chosen": "x"}]), out)
    assert report.overall.accuracy is not None
    assert (report.overall.accuracy.value, report.overall.accuracy.n) == (2.5 / 4, 4)
    assert report.overall.accuracy.low < 2.5 / 4 < report.overall.accuracy.high
    assert {row.name: row.ties for row in report.subsets} == {"easy": 1, "hard": 0}
    assert report.refused_rows == 1
    said = json.loads((out / "results" / "run.json").read_text(encoding="utf-8"))
    assert said["extra_results"] == {"easy": 0.75, "hard": 0.5}
    assert set(said) == {
        *("accuracy", "num_prompts", "model", "ref_model", "tokenizer", "chat_template"),
        "extra_results",
    }
    lines = (out / "results" / "run_outputs.jsonl").read_text(encoding="utf-8").splitlines()
    first = json.loads(lines[0])
    assert (first["scores_chosen"], first["scores_rejected"], first["results"]) == (1, -2, 1)
    assert not (out / ".eval_results").exists(), "these are not the benchmark's subsets"
    assert report.benchmark is None
    assert said["chat_template"] is None


def test_lists_are_best_of_n_and_ties_have_their_own_score(tmp_path: Path):
    four = {"subset": "Focus", "prompt": "a", "num_correct": 1}
    rows = [
        {"id": "1", **four, "chosen": ["good"], "rejected": ["fool", "day", "week"]},
        {"id": "2", **four, "chosen": ["good"], "rejected": ["good good", "day", "week"]},
        {"id": "3", **four, "chosen": ["day"], "rejected": ["week", "year", "fool"]},
        {"id": "4", **four, "num_correct": 2, "chosen": ["day"], "rejected": ["week"]},
    ]
    ties = {"subset": "Ties", "prompt": "b"}
    for name in ("1", "2"):
        rows.append({"id": f"ref:{name}", **ties, "chosen": ["good"], "rejected": ["fool"]})
        right = ["good", "good day"]
        rows.append({"id": f"tied:{name}", **ties, "chosen": right, "rejected": ["fool"]})
    report = reward_bench(rewarded(tmp_path), write(tmp_path, rows), tmp_path / "out")
    assert report.overall.accuracy is not None
    assert report.overall.accuracy.value == pytest.approx((1 + 0 + 1 / 3) / 3)
    assert report.refused_rows == 1, "num_correct and chosen contradict each other"
    assert report.ties_score is not None
    assert report.ties_score.score is not None
    assert report.ties_score.score.value == pytest.approx(1.01)


def test_the_score_of_ties_by_hand():
    def row(name: str, chosen: list[float], rejected: list[float]) -> Scored:
        return Scored(name, "Ties", np.array(chosen, dtype=float), np.array(rejected, dtype=float))

    rows = [row("tied:1", [4, 3], [1]), row("ref:1", [2], [1.5])]
    rows += [row("tied:2", [4, 0], [1]), row("ref:2", [2], [0])]
    found = ties_score(rows)
    assert found is not None
    assert found.score is not None
    sizes = np.tanh([0.5 / 1 - 1, -1 / 4 - 1]).mean()
    by_hand = 0.3 * 0.5 + 0.3 * 1 + 0.2 * 0.5 + 0.2 * 0 + 0.01 * sizes
    assert found.score.value == pytest.approx(by_hand)
    moved = [Scored(r.id, r.subset, 3 * r.chosen + 1, 3 * r.rejected + 1) for r in rows]
    again = ties_score(moved)
    assert again is not None
    assert again.score is not None
    assert again.score.value == pytest.approx(by_hand)
    assert ties_score(rows[:1]) is None


def test_mathematics_weighs_as_published():
    rows = [
        Scored("", name, np.array([1.0]), np.array([0.0 if name == "math-prm" else 2.0]))
        for name in SECTIONS["Reasoning"]
    ]
    (section,) = sections(rows)
    assert section.name == "Reasoning"
    assert section.accuracy is not None
    assert section.accuracy.value == pytest.approx(984 / (984 + 6))


def test_missing_columns_are_named(tmp_path: Path):
    with pytest.raises(InputError, match="expected chosen\\+rejected"):
        reward_bench(rewarded(tmp_path), write(tmp_path, [{"prompt": "a"}]), tmp_path / "out")


def complete(names: tuple[str, ...]) -> list[dict[str, object]]:
    """Two rows of every subset, one right and one wrong; of Ties a prompt that is right."""
    rows: list[dict[str, object]] = []
    for name in names:
        if name == "Ties":
            rows.append({"id": "ref:1", "chosen": ["good"], "rejected": ["fool"], "subset": name})
            right = ["good", "good day"]
            rows.append({"id": "tied:1", "chosen": right, "rejected": ["fool"], "subset": name})
            continue
        for at, (better, worse) in enumerate([("good", "fool"), ("fool", "good")]):
            row = {"id": f"{name}-{at}", "subset": name, "prompt": "a"}
            rows.append({**row, "chosen": better, "rejected": worse})
    return rows


@pytest.mark.slow
@pytest.mark.parametrize(
    ("names", "benchmark", "parts"),
    [
        (VERSION_2, "allenai/reward-bench-2", 7),
        (tuple(one for part in SECTIONS.values() for one in part), "allenai/reward-bench", 5),
    ],
)
def test_a_whole_benchmark_is_named_and_its_own_score_is_the_mean_of_its_parts(
    names: tuple[str, ...], benchmark: str, parts: int, tmp_path: Path
):
    report = reward_bench(rewarded(tmp_path), write(tmp_path, complete(names)), tmp_path / "out")
    assert report.benchmark == benchmark
    assert report.score is not None
    assert report.score.accuracy is not None
    ties = "Ties" in names
    assert report.score.accuracy.value == pytest.approx((5 * 0.5 + 1.01) / 6 if ties else 0.5)
    assert report.score.accuracy.low < report.score.accuracy.value
    file = tmp_path / "out" / ".eval_results" / "rewardbench.yaml"
    entries = yaml.safe_load(file.read_text("utf-8"))
    assert {entry["dataset"]["id"] for entry in entries} == {benchmark}
    tasks = [entry["dataset"]["task_id"] for entry in entries]
    assert tasks[0] == "score"
    assert len(tasks) == parts - ties, "one pair of tied rows has no interval, so no entry"


def test_rows_of_ties_that_nothing_pairs_are_counted(tmp_path: Path):
    rows = [
        {**row, "id": "x" if row["id"] == "ref:1" else row["id"]} for row in complete(("Ties",))
    ]
    rows += [{**row, "id": row["id"].replace(":1", ":2")} for row in complete(("Ties",))]
    report = reward_bench(rewarded(tmp_path), write(tmp_path, rows), tmp_path / "out")
    assert report.ties_score is not None
    assert report.ties_score.without_a_partner == 2


@pytest.mark.slow
def test_plain_prompts_are_read_as_chats_where_the_reward_does(tmp_path: Path):
    scorer = load_scorer(str(fakes.save(fakes.model(), tmp_path / "base")), Loading())
    with torch.no_grad():
        scorer.score.weight.normal_(generator=torch.Generator().manual_seed(0))
    scorer.save(tmp_path / "model")
    rows = write(tmp_path, [{"prompt": "i like", "chosen": "red apples", "rejected": "no"}] * 2)
    asked = [{"role": "user", "content": "i like"}]
    for chat, prompt, template in (("auto", asked, "tokenizer"), ("never", "i like", None)):
        out = tmp_path / chat
        reward_bench(str(tmp_path / "model"), rows, out, chat)
        said = json.loads((out / "results" / "model.json").read_text(encoding="utf-8"))
        assert said["chat_template"] == template
        lines = (out / "results" / "model_outputs.jsonl").read_text(encoding="utf-8").splitlines()
        inside = named_reward(str(tmp_path / "model"), chat)(["red apples"], [prompt])
        assert json.loads(lines[0])["scores_chosen"] == pytest.approx(float(inside[0]), abs=1e-5)


def test_how_a_runs_reward_reads_prompts_is_not_for_the_command_to_say(tmp_path: Path):
    with pytest.raises(InputError, match="stored with it"):
        reward_bench(rewarded(tmp_path), write(tmp_path, ONE), tmp_path / "out", "always")
