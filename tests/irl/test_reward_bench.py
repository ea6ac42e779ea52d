"""RewardBench-format files, end to end: what counts, what ties, and what is written."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from irl.errors import InputError
from irl.evaluation.reward_bench import SECTIONS, Scored, sections, ties_score
from irl.jobs.reward_bench import reward_bench
from irl.rewards.terms import TermReward

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
    (entry,) = yaml.safe_load((out / ".eval_results" / "rewardbench.yaml").read_text("utf-8"))
    assert entry["dataset"] == {"id": "allenai/reward-bench", "task_id": "overall"}
    assert entry["value"] == 0.625


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
