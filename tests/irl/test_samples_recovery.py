"""A reward from samples alone: recovered, stored, chosen before labels are read."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from irl.config import SamplesSettings
from irl.data import SampleRow, prompt_id
from irl.errors import InputError
from irl.jobs.samples_recovery import answers_to_common_prompts, recover_from_samples
from irl.records import RecoveryReport
from irl.rewards.head_reward import HeadReward
from irl.runs import read_record

WORDS = ("idiot", "please", "the", "a", "day", "sun", "rain", "tree")
RATES = np.array([0.1, 0.1, 0.2, 0.2, 0.1, 0.1, 0.1, 0.1])
PAID = {"idiot": -2.0, "please": 1.0}
QUICK = {"learning": {"seeds": [0, 1, 2], "penalties": [0.001, 0.01], "epochs": 60}}


def write(file: Path, rows: list[dict[str, object]]) -> str:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


def samples(folder: Path, n_prompts: int = 40, each: int = 8, seed: int = 0) -> dict[str, str]:
    """The aligned policy says words in proportion to rate * exp(reward): an exact tilt."""
    rng = np.random.default_rng(seed)
    tilted = RATES * np.exp([PAID.get(word, 0.0) for word in WORDS])
    shares = {"aligned": tilted / tilted.sum(), "reference": RATES}
    files = {}
    for side, share in shares.items():
        rows = [
            {"prompt": f"question {number}", "response": " ".join(rng.choice(WORDS, 6, p=share))}
            for number in range(n_prompts)
            for _ in range(each)
        ]
        files[f"{side}_samples"] = write(folder / f"{side}.jsonl", rows)
    return files


def preferences(folder: Path, n: int = 60) -> str:
    rng = np.random.default_rng(1)
    rows = []
    for number in range(n):
        one, two = (" ".join(rng.choice(WORDS, 6, p=RATES)) for _ in range(2))
        worth = [sum(PAID.get(word, 0.0) for word in text.split()) for text in (one, two)]
        if worth[0] != worth[1]:
            chosen, rejected = (one, two) if worth[0] > worth[1] else (two, one)
            rows.append({"prompt": f"other {number}", "chosen": chosen, "rejected": rejected})
    return write(folder / "preferences.jsonl", rows)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["bradley-terry", "max-entropy"])
def test_the_planted_reward_is_recovered_from_samples(tmp_path: Path, method: str):
    settings = SamplesSettings(
        **samples(tmp_path, 150), method=method, preferences=(preferences(tmp_path),), **QUICK
    )
    found = recover_from_samples(settings, tmp_path / "run")
    reward = HeadReward.load(tmp_path / "run" / "reward", "head")
    idiot, please, neutral = reward(["idiot", "please", "day"]).tolist()
    assert idiot < neutral < please
    assert idiot - neutral == pytest.approx(-2.0, abs=0.5)
    assert please - neutral == pytest.approx(1.0, abs=0.5)
    recovery = found.report.recovery
    assert recovery is not None
    assert recovery.mean is not None
    assert recovery.mean > 0.95
    assert recovery.sign_flip_share == 0
    assert (recovery.seeds, recovery.method) == (3, method)
    each = found.report.by_seed
    assert each is not None
    accuracies = [one.heldout_accuracy.value for one in each if one.heldout_accuracy]
    assert np.mean(accuracies) == pytest.approx(recovery.mean)
    assert (min(accuracies), max(accuracies)) == pytest.approx((recovery.min, recovery.max))
    assert sum(one.chosen for one in each) == 1
    assert found.report.aligned is None
    assert recovery.status.startswith("fitted")
    assert ("effective sample size" in recovery.status) == (method == "max-entropy")
    assert [caveat.code for caveat in found.report.caveats] == ["samples-only"]
    assert found.report.fit.membership_auc is not None
    assert 0.6 < found.report.fit.membership_auc.value < 0.95
    assert read_record(tmp_path / "run" / "recovery.json", RecoveryReport) == found.report


@pytest.mark.slow
def test_the_choice_is_written_down_before_labels_are_read(tmp_path: Path):
    """Labels that cannot be read stop the run; by then the choice stands in the log."""
    bad = write(tmp_path / "bad.jsonl", [{"nothing": 1}])
    settings = SamplesSettings(**samples(tmp_path), preferences=(bad,), **QUICK)
    with pytest.raises(InputError, match=r"bad\.jsonl"):
        recover_from_samples(settings, tmp_path / "run")
    events = [
        json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    ]
    (chosen,) = [event for event in events if event["event"] == "chosen"]
    assert len(chosen["agreement"]) == 3
    assert chosen["constant"] == [False] * 3


@pytest.mark.slow
def test_labels_change_neither_the_fits_nor_the_choice(tmp_path: Path):
    files = samples(tmp_path)
    for name, given in (("with", (preferences(tmp_path),)), ("without", ())):
        settings = SamplesSettings(**files, preferences=given, **QUICK)
        recover_from_samples(settings, tmp_path / name)
    one, two = (HeadReward.load(tmp_path / name / "reward", "head") for name in ("with", "without"))
    assert one.chosen == two.chosen
    assert torch.equal(one.head.weights[0], two.head.weights[0])


@pytest.mark.slow
def test_a_finished_run_is_returned_as_it_is(tmp_path: Path):
    settings = SamplesSettings(**samples(tmp_path), **QUICK)
    first = recover_from_samples(settings, tmp_path / "run")
    assert recover_from_samples(settings, tmp_path / "run").report == first.report


# Which answers are compared


def row(prompt: str, response: str) -> SampleRow:
    return SampleRow(1, prompt_id(prompt), prompt, response, "given")


def test_only_prompts_that_both_answered_count():
    ours = [row(f"p{at}", "x") for at in range(8)] + [row("mine", "x")]
    theirs = [row(f"p{at}", "y") for at in range(8)] + [row("yours", "y")] * 2
    found = answers_to_common_prompts(ours, theirs)
    assert len(found.texts) == 16
    assert found.left_out == 3
    assert found.aligned.tolist() == [True] * 8 + [False] * 8
    assert found.prompt.tolist() == list(range(8)) * 2


def test_samples_without_a_common_prompt_are_refused():
    with pytest.raises(InputError, match="no prompt in common"):
        answers_to_common_prompts([row("a", "x")], [row("b", "y")])


def test_answers_to_one_prompt_are_dealt_into_groups_of_both_sides():
    found = answers_to_common_prompts([row("", "x")] * 50, [row("", "y")] * 90)
    assert found.prompt.max() + 1 == 6
    for group in range(6):
        here = found.prompt == group
        assert 8 <= (here & found.aligned).sum() <= 9
        assert (here & ~found.aligned).sum() == 15


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder: {"aligned_samples": str(folder / "none.jsonl")}, "none.jsonl"),
        (lambda _: {"fitting": {"min_responses": 100_000}}, "min_responses"),
    ],
)
def test_what_cannot_be_fitted_is_refused_with_what_to_do(
    tmp_path: Path, change: Callable[[Path], dict[str, object]], words: str
):
    settings = SamplesSettings(**(samples(tmp_path) | QUICK | change(tmp_path)))
    with pytest.raises(InputError, match=words):
        recover_from_samples(settings, tmp_path / "run")
