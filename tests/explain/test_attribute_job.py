"""The job `irl attribute`, on tiny models."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from explain.attribution.record import Attribution
from explain.jobs.attribution import AttributeSettings, attribute, run_attribute
from explain.jobs.attribution_report import Case, Mean, method_row
from explain.targets import Exchange
from irl.config import ScoreSettings
from irl.errors import InputError, RunError
from irl.jobs.scoring import score
from irl.policies.spans import Span
from irl.records import AttributionReport, PromptCondition
from irl.rewards.terms import TermReward
from tests import fakes

pytestmark = pytest.mark.slow

_PROMPTS = ["the cat", "what do you think?", "please tell me", "i like"]


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("attribute")
    aligned, reference = fakes.save_pair(folder)
    rows = [json.dumps({"prompt": prompt}) for prompt in _PROMPTS]
    (folder / "prompts.jsonl").write_text("\n".join(rows) + "\n")
    settings = ScoreSettings(
        aligned=str(aligned),
        reference=str(reference),
        prompts=str(folder / "prompts.jsonl"),
        sampling={"responses_per_prompt": 2, "max_new_tokens": 6},
    )
    run = score(settings, folder / "run")
    TermReward(("the", "cat"), (1.0, -2.0)).save(run.path / "reward", "terms")
    return run.path


@pytest.fixture(scope="module")
def attributed(scored: Path) -> tuple[Path, AttributionReport]:
    out = scored.parent / "attributed"
    return out, attribute(scored, out=out, prompts=2)


def test_every_value_is_written_and_adds_up_where_it_must(
    attributed: tuple[Path, AttributionReport],
) -> None:
    out, report = attributed
    rows = pq.read_table(out / "attributions.parquet").to_pylist()
    assert len(rows) == 2 * 2 * 2, "prompts, policies and methods"
    for row in rows:
        lists = (row["segments"], row["values"], row["in_response"])
        assert len({len(one) for one in lists}) == 1
        if row["method"] == "integrated-gradients":
            whole = row["target"] - row["baseline"]
            size = max(abs(whole), report.target_sd)
            assert abs(sum(row["values"]) - whole) <= report.tolerance * size + 1e-6
    removed, followed = report.methods
    assert (removed.method, removed.unmet, removed.control_agreement) == ("ablation", None, None)
    assert followed.unmet == 0
    assert followed.control_agreement is not None
    assert [(row.a, row.b) for row in report.agreements] == [("ablation", "integrated-gradients")]


def test_only_what_could_fail_to_add_up_is_counted() -> None:
    names = ("ablation", "kernel-shap", "integrated-gradients")
    found = {name: Attribution(name, [Span(1, 0, 1)], np.ones(1), 3.0, 0.0, 1) for name in names}
    of_each = dict.fromkeys(names)
    case = Case(Exchange("a", "b"), found, dict.fromkeys(names, 0.5), of_each, of_each, {}, {})
    mean = Mean(np.zeros(1, dtype=np.int64), 0)
    unmet = [method_row(name, [case], 0.01, mean).unmet for name in names]
    assert unmet == [None, None, 1]


def test_a_finished_run_is_returned_and_the_same_seed_gives_the_same(
    scored: Path, attributed: tuple[Path, AttributionReport]
) -> None:
    out, report = attributed
    settings = AttributeSettings(run=str(scored), prompts=2)
    again = run_attribute(settings, out)
    assert again.was_finished
    assert again.report == report
    fresh = run_attribute(settings, scored.parent / "again").report
    assert fresh.methods == report.methods


def test_the_recovered_reward_is_known_in_closed_form(scored: Path) -> None:
    out = scored.parent / "reward"
    report = attribute(scored, out=out, target="reward", prompts=4)
    for row in pq.read_table(out / "attributions.parquet").to_pylist():
        if row["method"] != "ablation":
            continue
        for text, value, in_response in zip(
            row["segments"], row["values"], row["in_response"], strict=True
        ):
            paid = {"the": 1.0, "cat": -2.0}.get(text.strip().lower(), 0.0)
            assert value == pytest.approx(paid if in_response else 0.0, abs=1e-6)
    assert report.methods[0].infidelity is None or report.methods[0].infidelity.value < 1e-9


def test_what_cannot_be_done_is_said_in_a_sentence(scored: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="follows gradients to the embeddings"):
        attribute(scored, out=tmp_path / "a", target="reward", methods=("deeplift",))
    with pytest.raises(InputError, match="methods"):
        attribute(scored, out=tmp_path / "b", methods=("magic",))
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    (unfinished / "config.yaml").write_text("settings: {}\n")
    with pytest.raises(RunError, match="not finished"):
        attribute(unfinished, out=tmp_path / "c")
    (unfinished / "manifest.json").write_text("{}")
    with pytest.raises(RunError, match="names no pair"):
        attribute(unfinished, out=tmp_path / "d")


def test_a_reward_that_needs_types_of_prompts_is_not_read_without_them(
    scored: Path, tmp_path: Path
) -> None:
    shutil.copytree(scored, tmp_path / "run")
    kind = PromptCondition(prompt_type="opinion")
    TermReward(("cat",), (2.0,), conditions=(kind,)).save(tmp_path / "run" / "reward", "terms")
    with pytest.raises(InputError, match="depends on the type of a prompt"):
        attribute(tmp_path / "run", out=tmp_path / "out", target="reward", prompts=2)
