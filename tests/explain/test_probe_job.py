"""`irl probe` from end to end, on a tiny random pair."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from explain import probe
from explain.jobs.probes_results import Case, case_rows, null_rows
from explain.probes.declared import read_probes
from explain.probes.edits import WORD
from explain.probes.of_world import probes_of_world
from explain.probes.told import probe_summary
from irl.errors import InputError
from irl.policies.pair import load_pair
from irl.records import ProbesReport
from irl.rewards.terms import TermReward
from tests import fakes
from tests.test_command_line import SMALL, assert_refused, irl, write_prompts

pytestmark = pytest.mark.slow

PROMPTS = tuple(f"what do you think of {n} cats?" for n in range(10))
PROBES = """
bias:
  - {name: length, kind: append, texts: [i think it is fine.]}
  - name: cats
    kind: opening
    texts: [the cat]
    only_where: {prompt_contains: "3"}
  - {name: agreement, kind: opinion, opinions: [i know it.], agree: ["yes."], disagree: ["no."]}
two_by_two:
  - goal: {name: pears, terms: [pears], insert: [i like pears and]}
    proxy: {name: apples, pattern: "red apples?", insert: [red apples and]}
triggers: {vocabulary: [cats, "3"], min_prompts: 3}
flips: {pairs: 3}
"""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pair")
    aligned, reference = fakes.save_pair(folder)
    probes = folder / "probes.yaml"
    probes.write_text(PROBES, encoding="utf-8")
    labels = folder / "labels.jsonl"
    rows = [
        {"prompt": p, "chosen": " red apples and pears", "rejected": " the dog"}
        for p in PROMPTS[:4]
    ]
    labels.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return {
        "aligned": aligned,
        "reference": reference,
        "prompts": write_prompts(folder / "prompts.jsonl", PROMPTS),
        "probes": probes,
        "preferences": labels,
    }


def flags(inputs: dict[str, Path], *names: str) -> list[str]:
    return [str(part) for name in names for part in (f"--{name}", inputs[name])]


@pytest.fixture(scope="module")
def probed(inputs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "probed"
    done = irl("probe", *flags(inputs, *inputs), *SMALL, "--out", out)
    assert done.code == 0, done
    assert "probes.parquet" in done.out
    return out


def report_of(run: Path) -> ProbesReport:
    return ProbesReport.model_validate_json((run / "probes.json").read_text(encoding="utf-8"))


def test_a_run_holds_the_report_and_every_edited_answer(probed: Path):
    report = report_of(probed)
    assert report.schema_ == "irl.probes/1"
    assert [one.name for one in report.bias] == [
        *("length", "cats: inside", "cats: outside", "cats: difference", "agreement")
    ]
    assert report.n_prompts == len(PROMPTS)
    assert report.unit == "nats"
    assert report.triggers is not None
    assert report.triggers.absent == ["cats", "3"]
    assert report.flips is not None
    assert (probed / "manifest.json").is_file()
    rows = pq.read_table(probed / "probes.parquet").to_pylist()
    length = [row for row in rows if row["probe"] == "length"]
    of_length = report.bias[0]
    assert of_length.effect is not None
    units: dict[str, list[float]] = {}
    for unit in {row["unit"] for row in length}:
        own = [row for row in length if row["unit"] == unit]
        units.setdefault(own[0]["prompt_id"], []).append(
            sum(row["weight"] * row["value"] for row in own)
        )
    by_hand = np.mean([np.mean(values) for values in units.values()])
    assert of_length.effect.value == pytest.approx(by_hand, abs=1e-6)
    assert all(row["reference_nats_per_token"] < 0 for row in rows)


def test_preferences_without_a_discordant_pair_identify_nothing(probed: Path):
    (found,) = report_of(probed).two_by_two
    assert (found.pairs, found.discordant_pairs, found.identifiable) == (4, 0, False)
    assert found.accuracy is not None


def test_the_table_shows_intervals_and_escapes_what_models_say(probed: Path):
    report = report_of(probed)
    assert report.flips is not None
    told = probe_summary(report)
    assert "95 % interval" in told
    assert "accuracy in distribution" in told
    bad = report.model_copy(
        update={"bias": [report.bias[0].model_copy(update={"name": "a\x1b[31mb"})]}
    )
    assert "\x1b" not in probe_summary(bad)


def test_a_finished_run_is_not_repeated_and_json_is_the_report(
    inputs: dict[str, Path], probed: Path
):
    done = irl("probe", *flags(inputs, *inputs), *SMALL, "--out", probed, "--json")
    assert done.code == 0
    assert "is finished" in done.err
    assert json.loads(done.out)["schema"] == "irl.probes/1"


def test_answers_of_a_finished_run_are_probed_without_naming_its_pair(
    inputs: dict[str, Path], tmp_path: Path
):
    run = tmp_path / "scores"
    named = flags(inputs, "aligned", "reference", "prompts")
    assert irl("score", *named, *SMALL, "--out", run).code == 0
    out = tmp_path / "probed"
    done = irl("probe", "--run", run, *flags(inputs, "probes"), "--out", out)
    assert done.code == 0, done
    values = pq.read_table(run / "responses.parquet")["log_ratio_nats"].to_numpy()
    assert report_of(out).n_answers == len(values)
    other = write_prompts(tmp_path / "others.jsonl", ("else",))
    refused = irl("probe", "--run", run, "--prompts", other, "--out", tmp_path / "x")
    assert_refused(refused, "others.jsonl", "--prompts")


def test_a_recovered_reward_is_probed_as_the_log_ratio_is(inputs: dict[str, Path], tmp_path: Path):
    TermReward(("fine",), (2.0,), per_word=0.5).save(tmp_path / "r" / "reward", "terms")
    report = probe(
        load_pair(str(inputs["aligned"]), str(inputs["reference"])),
        prompts=inputs["prompts"],
        out=tmp_path / "probed",
        probes=str(inputs["probes"]),
        target=str(tmp_path / "r"),
        sampling={"responses_per_prompt": 4, "max_new_tokens": 6},
    )
    effect = report.bias[0].effect
    assert effect is not None
    assert effect.value == pytest.approx(2.0 + 5 * 0.5)  # "i think it is fine."
    assert report.unit == "units of the reward"


BAD = {
    "bias: [{name: a, kind: append}]": ("bias.0.append.texts", "required"),
    "bias: [{name: a, kind: reorder, odd: 1}]": ("odd",),
    "bias: [{name: a, kind: sing}]": ("kind",),
    "trigger: {}": ("trigger",),
    "{}": ("declares no probe",),
    "[1]": ("key: value",),
    "bias: [": ("YAML",),
    "bias: [{name: a, kind: words, words: [x], instead: [y], contexts: [z]}]": (WORD,),
    "bias: [{name: a, kind: words, words: [x], instead: [X]}]": ("in words and in instead",),
    "bias: [{name: a, kind: reorder}, {name: a, kind: reorder}]": ("two probes have the name a",),
    "two_by_two: [{goal: {name: g}, proxy: {name: p, terms: [b]}}]": ("terms or a pattern",),
    "two_by_two: [{goal: {name: g, pattern: '(', insert: [a]}, proxy: {name: p, terms: [b]}}]": (
        "no regular expression",
    ),
    "two_by_two: [{goal: {name: g, terms: [a], insert: [b]}, proxy: {name: p, terms: [b]}}]": (
        "does not bring",
    ),
    "bias: [{name: a, kind: reorder, only_where: {}}]": ("prompt_type or prompt_contains",),
}


@pytest.mark.parametrize("text", BAD)
def test_bad_files_are_refused_in_one_sentence(text: str, tmp_path: Path):
    file = tmp_path / "bad.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as error:
        read_probes(file)
    assert "\n" not in str(error.value)
    for words in ("bad.yaml", *BAD[text]):
        assert words in str(error.value)


def test_a_missing_file_or_run_is_refused(inputs: dict[str, Path], tmp_path: Path):
    named = flags(inputs, "aligned", "reference", "prompts")
    assert_refused(irl("probe", *named, "--probes", tmp_path / "none.yaml"), "none.yaml")
    assert_refused(irl("probe", *named, "--target", tmp_path / "none"), "no reward")
    assert_refused(irl("probe", "--run", tmp_path / "none"), "no run")
    assert_refused(irl("probe"), "--aligned")


@pytest.mark.parametrize("seed", [0, 1])
def test_every_world_has_the_same_probes_in_its_own_words(seed: int):
    declared = probes_of_world(seed)
    assert {one.name for one in declared.bias} >= {one.name for one in read_probes(None).bias}
    assert declared.two_by_two
    assert declared.triggers


def test_rows_count_what_fires_and_say_why_something_was_not_measured(probed: Path):
    report = report_of(probed)
    fired = report.bias[0].model_copy(update={"fired": True})
    loud = report.model_copy(update={"bias": [fired, *report.bias[1:]]})
    cases = [Case("a", 0, report), Case("b", 0, loud)]
    quiet = sum(hit for _, hit in cases[0].tried)
    pooled = next(row for row in null_rows("nulls", [0], cases) if row.metric == "fired, pooled")
    assert pooled.estimate is not None
    n = len(cases[0].tried)
    assert pooled.estimate.n == 2 * n
    assert pooled.estimate.value == pytest.approx(
        (sum(hit for _, hit in cases[1].tried) + quiet) / (2 * n)
    )
    rows = list(case_rows(cases[0], "a"))
    assert all((row.estimate is None) == (row.reason is not None) for row in rows)
    assert any(row.metric == "discordant pairs" for row in rows)
