"""The command `irl` from outside: what it writes, what it says, and how it says no."""

import io
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file

from explain.aspect_files import read_aspects
from irl.__main__ import main
from irl.organisms.language import train_tokenizer
from irl.records import AuditReport, Manifest, RecoveryReport
from irl.rewards.head_reward import HeadReward
from irl.rewards.terms import TermReward
from irl.rewards.words import words
from tests.fakes import SENTENCES, save_pair

ROOT = Path(__file__).resolve().parents[1]
SMALL = ("--set", "sampling.responses_per_prompt=4", "--set", "sampling.max_new_tokens=6")
PROMPTS = ("what do you think?", "please tell me", "i like", "")
LONG = "the cat " * 60
"More tokens than the context of 64 leaves room for"
RUN_FILES = {
    *("config.yaml", "report.json", "report.html", "responses.parquet", "tokens.parquet"),
    *(
        "aspects.parquet",
        "log.jsonl",
        "manifest.json",
        "reward/terms.json",
        "reward/terms.safetensors",
    ),
}
PATIENCE_SECONDS = 300


@dataclass(frozen=True)
class Done:
    """What a command gave back."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Inputs:
    """A pair, prompts and preferences on disk."""

    aligned: Path
    reference: Path
    prompts: Path
    preferences: Path

    def arguments(self, **changes: object) -> list[str]:
        """As flags of a command; a change of None leaves the flag out."""
        given = {"aligned": self.aligned, "reference": self.reference, "prompts": self.prompts}
        flags = given | changes
        named = [(f"--{name.replace('_', '-')}", value) for name, value in flags.items()]
        return [str(part) for pair in named if pair[1] is not None for part in pair] + [*SMALL]


@contextmanager
def undisturbed() -> Iterator[None]:
    """Take back what the command does to its process: the signal handler and the root logger."""
    argv, handler, handlers = sys.argv, signal.getsignal(signal.SIGINT), logging.root.handlers[:]
    try:
        yield
    finally:
        sys.argv, logging.root.handlers[:] = argv, handlers
        signal.signal(signal.SIGINT, handler)


def irl(*arguments: object) -> Done:
    """Run the command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with undisturbed(), redirect_stdout(out), redirect_stderr(err):
        logging.root.handlers[:] = []
        sys.argv = ["irl", *map(str, arguments)]
        with pytest.raises(SystemExit) as end:
            main()
    return Done(int(end.value.code or 0), out.getvalue(), err.getvalue())


def started(*arguments: object, folder: Path) -> subprocess.Popen[str]:
    """Start the command as a process of its own."""
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "irl", *map(str, arguments)],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> Done:
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    return Done(process.returncode, out, err)


def assert_refused(done: Done, *words: str) -> None:
    """Exit code 2, and one sentence on stderr that holds the words."""
    assert done.code == 2, done
    (sentence,) = done.err.splitlines()
    assert sentence.startswith("irl: ")
    assert len(sentence) < 700
    assert "Traceback" not in done.err + done.out
    for word in words:
        assert word in sentence, sentence


def write_prompts(file: Path, prompts: tuple[str, ...]) -> Path:
    lines = [json.dumps({"prompt": prompt}) for prompt in prompts]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    folder = tmp_path_factory.mktemp("inputs")
    aligned, reference = save_pair(folder)
    rows = [
        {"prompt": prompt, "chosen": " a fine idea", "rejected": " a stupid idea"}
        for prompt in ("what?", "who?", "")
    ]
    preferences = folder / "labels.jsonl"
    preferences.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    prompts = write_prompts(folder / "prompts.jsonl", PROMPTS)
    return Inputs(aligned, reference, prompts, preferences)


@dataclass(frozen=True)
class Audited:
    """A finished audit and how it was asked for."""

    out: Path
    arguments: list[str]
    done: Done

    @property
    def report(self) -> AuditReport:
        return AuditReport.model_validate_json((self.out / "report.json").read_bytes())


@pytest.fixture(scope="module")
def audited(inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Audited:
    out = tmp_path_factory.mktemp("audits") / "run"
    arguments = inputs.arguments(preferences=inputs.preferences, trained_with="rloo", out=out)
    return Audited(out, arguments, irl("audit", *arguments))


# What a run writes


def test_an_audit_writes_every_file_of_the_run_folder_and_no_other(audited: Audited):
    assert audited.done.code == 0, audited.done.err
    files = {file for file in audited.out.rglob("*") if file.is_file()}
    assert {file.relative_to(audited.out).as_posix() for file in files} == RUN_FILES
    manifest = Manifest.model_validate_json((audited.out / "manifest.json").read_bytes())
    assert set(manifest.files) == RUN_FILES - {"log.jsonl", "manifest.json"}
    assert manifest.counts["responses"] == 2 * 4 * len(PROMPTS)
    assert {event["kind"] for event in events(audited.out, "candidate")} == {"term", "length"}


def test_an_audit_prints_its_summary_and_where_the_page_is(audited: Audited):
    assert audited.done.out.startswith(f"Audit {audited.report.run_id}\n")
    assert audited.report.verdict.objective_found is not None
    assert "\nObjective: " in audited.done.out
    assert f"Report: {audited.out / 'report.html'}" in audited.done.out
    assert (audited.out / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_report_holds_what_was_asked_and_what_was_found(audited: Audited, inputs: Inputs):
    report = audited.report
    assert report.pair.aligned.source == str(inputs.aligned)
    assert report.pair.aligned.sha256 != report.pair.reference.sha256
    assert report.pair.trained_with == "rloo"
    assert report.run_id == f"audit-{report.run_id[-10:]}"
    assert {row.scorer for row in report.accuracy} == {"log_ratio", "recovered"}
    assert {row.labels for row in report.accuracy} == {"labels.jsonl"}
    assert report.drift is not None
    assert report.drift.sequence_kl_nats.n == len(PROMPTS)
    assert set(report.timings_seconds) >= {"loading", "sampling", "scoring", "recovery"}
    assert report.peak_memory_bytes > 0
    sampling = report.settings["sampling"]
    assert isinstance(sampling, dict)
    assert sampling["responses_per_prompt"] == 4


REASONS = {
    r"verdict\.(objective_found|readability)": "too-few-prompts",
    r"verdict\.(p_value|explained_r2|explained_sd_nats)": "too-few-prompts|identical-checkpoints",
    r"(fit|recovery\.\d+)\.spearman_with_log_ratio": "constant-reward|too-few-prompts",
    r"fit\.(membership_auc|r2)|recovery\.\d+\.auc": "too-few-prompts",
    r"drift": "too-few-prompts",
    r"accuracy\.\d+\.(preference|length_controlled|ece)": "not-measured-pairs|reversed-score",
    r"aspects_r2|aspects\.\d+\.drop_one_r2": "not-measured-aspects-r2",
    r"aspects\.\d+\.(weight|low|high|drop_one_r2)": "not-measured-aspects",
    r"identifiability\.posterior_(trace|logdet)": "constant-reward|too-few-prompts",
    r"recovery\.\d+\.heldout_accuracy": "not-measured-accuracy",
    r"contexts\.(words|context|gain)_r2": "too-few-prompts|identical-checkpoints",
    "explanations": "not-measured-explanations",
    r"recovery\.\d+\.(mean|sd|min|max|sign_flip_share)": "not-measured-seed-spread",
}
"What may be null, and the caveats of which one must say why"
UNDEFINED = re.compile(r"settings\.|accuracy\.\d+\.spearman$|(terms|objectives)\.\d+\.condition$")
"Null by its nature: an unset setting, a rank of two grades, a term without a condition"


def nulls(tree: object, path: str = "") -> Iterator[str]:
    if tree is None:
        yield path.lstrip(".")
    elif isinstance(tree, dict):
        for key, value in tree.items():
            yield from nulls(value, f"{path}.{key}")
    elif isinstance(tree, list):
        for at, value in enumerate(tree):
            yield from nulls(value, f"{path}.{at}")


def unexplained(report: AuditReport) -> set[str]:
    """Null figures for which no caveat gives the reason."""
    caveats = {caveat.code for caveat in report.verdict.caveats}
    found = nulls(report.model_dump(mode="json", by_alias=True))
    return {
        path
        for path in found
        if not UNDEFINED.search(path)
        and not any(
            re.fullmatch(pattern, path) and caveats & {*codes.split("|")}
            for pattern, codes in REASONS.items()
        )
    }


def test_every_figure_that_is_null_has_its_reason_in_the_caveats(audited: Audited):
    assert unexplained(audited.report) == set()


def test_one_prompt_is_audited_and_what_needs_two_is_null_with_the_reason(
    inputs: Inputs, tmp_path: Path
):
    prompts = write_prompts(tmp_path / "one.jsonl", PROMPTS[:1])
    done = irl("audit", *inputs.arguments(prompts=prompts, out=tmp_path / "run"), "--json")
    assert done.code == 0, done.err
    report = AuditReport.model_validate_json(done.out)
    assert report.drift is None
    assert report.fit.r2 is None
    assert report.terms == []
    assert unexplained(report) == set()


def test_the_tables_have_the_columns_of_the_contract_and_agree(audited: Audited):
    responses = pq.read_table(audited.out / "responses.parquet")
    tokens = pq.read_table(audited.out / "tokens.parquet")
    assert responses.column_names == [
        *("response_id", "prompt_id", "prompt", "response", "source", "n_tokens"),
        *("aligned_nats", "reference_nats", "log_ratio_nats"),
        *("reward_nats", "reward_low_nats", "reward_high_nats", "fold", "prompt_type", "true_nats"),
    ]
    assert tokens.column_names == [
        *("response_id", "token_ids", "tokens", "aligned_nats", "reference_nats"),
        *("log_ratio_nats", "paid_for_nats"),
    ]
    assert responses["response_id"] == tokens["response_id"]
    assert len(set(responses["response_id"].to_pylist())) == responses.num_rows == 32
    assert set(responses["source"].to_pylist()) == {"aligned", "reference"}
    folds: dict[str, set[int]] = {}
    for row, parts in zip(responses.to_pylist(), tokens.to_pylist(), strict=True):
        assert row["n_tokens"] == len(parts["token_ids"]) == len(parts["tokens"])
        assert row["log_ratio_nats"] == pytest.approx(sum(parts["log_ratio_nats"]), abs=1e-4)
        assert row["log_ratio_nats"] == pytest.approx(row["aligned_nats"] - row["reference_nats"])
        folds.setdefault(row["prompt_id"], set()).add(row["fold"])
    assert all(len(fold) == 1 for fold in folds.values())


def test_the_reward_of_a_run_can_be_loaded_again(audited: Audited):
    reward = TermReward.load(audited.out / "reward", "terms")
    assert len(reward(["some text", ""])) == 2


# What a second call does


def test_the_same_command_again_says_that_the_run_is_finished(audited: Audited):
    before = {file: file.stat().st_mtime_ns for file in audited.out.rglob("*")}
    done = irl("audit", *audited.arguments)
    assert done.code == 0
    assert "is finished; --fresh repeats it" in done.err
    assert done.out == audited.done.out
    assert {file: file.stat().st_mtime_ns for file in audited.out.rglob("*")} == before


def test_json_prints_the_report(audited: Audited):
    done = irl("audit", *audited.arguments, "--json")
    assert json.loads(done.out) == json.loads((audited.out / "report.json").read_bytes())


def test_other_settings_into_the_same_folder_are_refused(audited: Audited):
    done = irl("audit", *audited.arguments, "--seed", 5)
    assert_refused(done, "holds another run", "--fresh")


def test_a_finished_run_whose_report_is_damaged_is_named(audited: Audited, tmp_path: Path):
    copy = shutil.copytree(audited.out, tmp_path / "run")
    (copy / "report.json").write_text('{"schema": "irl.audit/0"}', encoding="utf-8")
    assert_refused(irl("runs", "show", copy), "report.json", "--fresh")


@pytest.mark.slow
def test_fresh_repeats_a_run(inputs: Inputs, tmp_path: Path):
    arguments = inputs.arguments(out=tmp_path / "run")
    assert irl("score", *arguments).code == 0
    first = (tmp_path / "run" / "manifest.json").stat().st_mtime_ns
    assert "finished" in irl("score", *arguments).err
    assert (tmp_path / "run" / "manifest.json").stat().st_mtime_ns == first
    done = irl("score", *arguments, "--fresh")
    assert done.code == 0
    assert "finished" not in done.err
    assert (tmp_path / "run" / "manifest.json").stat().st_mtime_ns > first


@pytest.mark.slow
def test_the_same_seed_gives_the_same_responses_and_another_seed_others(
    inputs: Inputs, tmp_path: Path
):
    tables = []
    for name, seed in (("one", 3), ("same", 3), ("other", 4)):
        assert irl("score", *inputs.arguments(out=tmp_path / name, seed=seed)).code == 0
        tables.append(pq.read_table(tmp_path / name / "responses.parquet"))
    one, same, other = tables
    assert one.equals(same)
    assert one["response"] != other["response"]
    assert one["reward_nats"].null_count == one.num_rows


@pytest.mark.slow
def test_identical_checkpoints_have_no_objective(inputs: Inputs, tmp_path: Path):
    same = shutil.copytree(inputs.reference, tmp_path / "copy")
    done = irl("audit", *inputs.arguments(aligned=same, out=tmp_path / "run"), "--json")
    assert done.code == 0, done.err
    report = AuditReport.model_validate_json(done.out)
    assert report.verdict.objective_found is False
    assert "identical-checkpoints" in {caveat.code for caveat in report.verdict.caveats}
    assert (report.terms, report.objectives) == ([], [])
    assert report.drift is not None
    assert report.drift.sequence_kl_nats.value == 0


# Aspects


def test_every_audit_measures_the_stock_aspects(audited: Audited):
    names = read_aspects().names
    assert [row.name for row in audited.report.aspects] == names
    values = pq.read_table(audited.out / "aspects.parquet")
    assert values.column_names == ["response_id", *names]
    responses = pq.read_table(audited.out / "responses.parquet")
    assert values["response_id"].to_pylist() == responses["response_id"].to_pylist()
    assert values["length"].to_pylist() == [
        len(words(t)) for t in responses["response"].to_pylist()
    ]


@pytest.mark.slow
def test_a_file_of_aspects_replaces_the_stock_set(inputs: Inputs, tmp_path: Path):
    file, out = tmp_path / "aspects.yaml", tmp_path / "run"
    file.write_text("- {name: size, kind: length, of: characters}\n", encoding="utf-8")
    done = irl("audit", *inputs.arguments(aspects=file, out=out))
    assert done.code == 0, done.err
    report = AuditReport.model_validate_json((out / "report.json").read_bytes())
    assert [(row.name, row.unit) for row in report.aspects] == [("size", "character")]
    file.write_text("- {name: size, kind: length, of: sentences}\n", encoding="utf-8")
    assert_refused(irl("audit", *inputs.arguments(aspects=file, out=out)), "another run")


def test_a_bad_file_of_aspects_stops_the_audit_before_anything_is_loaded(tmp_path: Path):
    file = tmp_path / "aspects.yaml"
    file.write_text("- {name: t, kind: callable, function: 'm:f'}\n", encoding="utf-8")
    missing = ("--aligned", tmp_path / "none", "--reference", tmp_path / "none")
    done = irl("audit", *missing, "--aspects", file)
    assert_refused(done, "runs Python code", "--allow-code")


# The gate


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("{path: drift.sequence_kl_nats, max: 1.0e+6, on: high}", 0),
        ("{path: drift.sequence_kl_nats, max: -1}", 1),
        ("{path: recovery.0.sd, max: 1}", 1),
    ],
    ids=["kept", "over", "not measured"],
)
def test_the_gate_decides_the_exit_code(rule: str, code: int, inputs: Inputs, tmp_path: Path):
    gate = tmp_path / "gate.yaml"
    gate.write_text(f"- {rule}\n", encoding="utf-8")
    done = irl("audit", *inputs.arguments(gate=gate, out=tmp_path / "run"))
    assert done.code == code
    assert f"Gate: {1 - code} of 1 limits kept" in done.out
    report = AuditReport.model_validate_json((tmp_path / "run" / "report.json").read_bytes())
    assert [row.passed for row in report.gate] == [code == 0]
    again = irl("audit", *inputs.arguments(gate=gate, out=tmp_path / "run"))
    assert again.code == code


# Refusals of checkpoints


def without_model(inputs: Inputs, folder: Path) -> dict[str, Path]:
    (folder / "empty").mkdir()
    return {"aligned": folder / "empty"}


def without_weights(inputs: Inputs, folder: Path) -> dict[str, Path]:
    copy = shutil.copytree(inputs.aligned, folder / "copy")
    (copy / "model.safetensors").unlink()
    return {"aligned": copy}


def truncated(inputs: Inputs, folder: Path) -> dict[str, Path]:
    copy = shutil.copytree(inputs.aligned, folder / "copy")
    with (copy / "model.safetensors").open("r+b") as stream:
        stream.truncate(50_000)
    return {"aligned": copy}


def with_nan(inputs: Inputs, folder: Path) -> dict[str, Path]:
    copy = shutil.copytree(inputs.reference, folder / "copy")
    tensors = load_file(copy / "model.safetensors")
    next(iter(tensors.values())).view(-1)[0] = torch.nan
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    return {"reference": copy}


def with_other_tokenizer(inputs: Inputs, folder: Path) -> dict[str, Path]:
    copy = shutil.copytree(inputs.reference, folder / "copy")
    train_tokenizer([text[::-1] for text in SENTENCES] * 3, 320).save_pretrained(copy)
    return {"reference": copy}


def not_there(inputs: Inputs, folder: Path) -> dict[str, Path]:
    return {"aligned": folder / "absent"}


CHECKPOINTS: dict[Callable[[Inputs, Path], dict[str, Path]], tuple[str, ...]] = {
    without_model: ("holds no model", "config.json"),
    without_weights: ("cannot be loaded",),
    truncated: ("truncated or damaged",),
    with_nan: ("NaN",),
    with_other_tokenizer: ("tokenise differently",),
    not_there: ("There is no directory",),
}


@pytest.mark.parametrize("spoilt", CHECKPOINTS, ids=lambda spoilt: spoilt.__name__)
def test_a_pair_that_cannot_be_scored_is_refused(
    spoilt: Callable[[Inputs, Path], dict[str, Path]], inputs: Inputs, tmp_path: Path
):
    changes = spoilt(inputs, tmp_path)
    done = irl("audit", *inputs.arguments(out=tmp_path / "run", **changes))
    assert_refused(done, *CHECKPOINTS[spoilt], *map(str, changes.values()))
    assert not (tmp_path / "run").exists()


def test_a_full_model_without_a_reference_is_refused(inputs: Inputs, tmp_path: Path):
    done = irl("audit", *inputs.arguments(reference=None, out=tmp_path / "run"))
    assert_refused(done, "--reference")


# Refusals of files, settings and words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "There is no file"),
        ("", "has no rows"),
        ("\n\n", "has no rows"),
        ('{"text": "hello"}\n', "has the columns text"),
        ("{broken\n", "no usable row"),
        (json.dumps({"prompt": LONG}) + "\n", "None of the 1 rows"),
    ],
    ids=["missing", "empty", "blank", "other column", "broken", "too long"],
)
def test_prompts_that_cannot_be_used_are_refused(
    text: str | None, words: str, inputs: Inputs, tmp_path: Path
):
    prompts = tmp_path / "prompts.jsonl"
    if text is not None:
        prompts.write_text(text, encoding="utf-8")
    done = irl("audit", *inputs.arguments(prompts=prompts, out=tmp_path / "run"))
    assert_refused(done, words, str(prompts))


def test_a_pair_without_prompts_is_refused(inputs: Inputs, tmp_path: Path):
    done = irl("audit", *inputs.arguments(prompts=None, out=tmp_path / "run"))
    assert_refused(done, "--prompts")


def test_preferences_without_the_columns_are_refused(inputs: Inputs, tmp_path: Path):
    labels = tmp_path / "labels.jsonl"
    labels.write_text('{"better": "a", "worse": "b"}\n', encoding="utf-8")
    done = irl("audit", *inputs.arguments(preferences=labels, out=tmp_path / "run"))
    assert_refused(done, "better, worse", "chosen+rejected", str(labels))


@pytest.mark.parametrize("place", ["under a file", "/proc/irl-test"])
def test_a_run_folder_that_cannot_be_written_is_refused(place: str, inputs: Inputs, tmp_path: Path):
    (tmp_path / "file").touch()
    out = tmp_path / "file" / "run" if place == "under a file" else Path(place)
    assert_refused(irl("score", *inputs.arguments(out=out)), "--out", str(out))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--trained-with", "magic"], ("trained_with", "rloo, grpo, ppo")),
        (["--method", "guess"], ("method", "log_ratio")),
        (["--set", "sampling.temprature=1"], ("sampling.temprature", "temperature")),
        (["--set", "sampling.temperature=-1"], ("sampling.temperature", "greater than 0")),
        (["--set", "nonsense"], ("nonsense", "a.b=c")),
        (["--seed", "one"], ("--seed", "integer")),
        (["--config", "/no/such/file.yaml"], ("/no/such/file.yaml",)),
        (["--gate", "/no/such/gate.yaml"], ("/no/such/gate.yaml",)),
        (["--nonsense"], ("--nonsense",)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_setting_that_cannot_be_used_is_refused(
    arguments: list[str], words: tuple[str, ...], inputs: Inputs, tmp_path: Path
):
    done = irl("audit", *inputs.arguments(out=tmp_path / "run"), *arguments)
    assert_refused(done, *words)


@pytest.mark.parametrize(
    "text", ["- {path: fit.r2}\n", "- {path: fit.r2, max: }\n", "max: 3\n", "- [\n"]
)
def test_a_gate_that_limits_nothing_is_refused(text: str, inputs: Inputs, tmp_path: Path):
    gate = tmp_path / "gate.yaml"
    gate.write_text(text, encoding="utf-8")
    done = irl("audit", *inputs.arguments(gate=gate, out=tmp_path / "run"))
    assert_refused(done, str(gate))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["score", "--prompts", "p.jsonl"], ("aligned is missing", "--aligned")),
        (["nonsense"], ("nonsense",)),
        (["doctor"], ("aligned",)),
        (["runs", "show", "absent"], ("absent", "irl runs list")),
        (["organisms", "build", "unicorn"], ("unicorn", "real-detox")),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_command_that_cannot_be_understood_is_refused(
    arguments: list[str], words: tuple[str, ...]
):
    assert_refused(irl(*arguments), *words)


# What is left out is said


def events(run: Path, kind: str) -> list[dict[str, Any]]:
    lines = (run / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == kind]


def test_a_broken_line_is_left_out_and_reported_and_the_good_lines_go_on(
    inputs: Inputs, tmp_path: Path
):
    prompts = write_prompts(tmp_path / "prompts.jsonl", ("one", "two", "three"))
    lines = prompts.read_text(encoding="utf-8").splitlines()
    lines[1] = '{"prompt": "tw'
    prompts.write_text("\n".join(lines), encoding="utf-8")
    done = irl("audit", *inputs.arguments(prompts=prompts, out=tmp_path / "run"))
    assert done.code == 0, done.err
    assert f"irl: {prompts}, line 2 is left out: not valid JSON" in done.err
    (event,) = events(tmp_path / "run", "refused")
    assert (event["source"], event["line"]) == (str(prompts), 2)
    assert "refused-rows" in done.out
    report = AuditReport.model_validate_json((tmp_path / "run" / "report.json").read_bytes())
    (caveat,) = [c for c in report.verdict.caveats if c.code == "refused-rows"]
    assert caveat.text.startswith("1 input rows")
    responses = pq.read_table(tmp_path / "run" / "responses.parquet")
    assert set(responses["prompt"].to_pylist()) == {"one", "three"}


def test_prompts_that_leave_no_room_for_an_answer_are_left_out_and_reported(
    inputs: Inputs, tmp_path: Path
):
    prompts = write_prompts(tmp_path / "prompts.jsonl", ("one", LONG, "three"))
    done = irl("score", *inputs.arguments(prompts=prompts, out=tmp_path / "run"))
    assert done.code == 0, done.err
    assert "line 2 is left out" in done.err
    assert "the context leaves room for 58" in done.err
    (event,) = events(tmp_path / "run", "refused")
    assert event["line"] == 2
    manifest = Manifest.model_validate_json((tmp_path / "run" / "manifest.json").read_bytes())
    assert manifest.counts["refused_rows"] == 1


# The other commands


def test_recover_stores_a_reward_and_its_figures(inputs: Inputs, tmp_path: Path):
    arguments = inputs.arguments(preferences=inputs.preferences, out=tmp_path / "run")
    done = irl("recover", *arguments)
    assert done.code == 0, done.err
    assert f"Reward: {tmp_path / 'run' / 'reward'}" in done.out
    report = RecoveryReport.model_validate_json((tmp_path / "run" / "recovery.json").read_bytes())
    assert report.run_id.startswith("recover-")
    assert len(report.accuracy) == 2
    assert report.aligned is not None
    assert report.aligned.source == str(inputs.aligned)
    assert (report.by_seed, report.truth) == (None, [])
    again = irl("recover", *arguments, "--json")
    assert RecoveryReport.model_validate_json(again.out) == report
    assert "finished" in again.err


def test_recover_learns_from_samples_alone(tmp_path: Path):
    files = []
    for side, word in (("aligned", "please"), ("reference", "idiot")):
        rows = [
            {"prompt": f"question {at % 12}", "response": f"{word if at % 3 else 'well'} then"}
            for at in range(96)
        ]
        files += [f"--{side}-samples", tmp_path / f"{side}.jsonl"]
        files[-1].write_text("".join(json.dumps(row) + "\n" for row in rows))
    quick = ("--set", "learning.epochs=20", "--out", tmp_path / "run")
    done = irl("recover", *files, *quick)
    assert done.code == 0, done.err
    assert "5 of bradley-terry, one chosen by consensus" in done.out
    reward = HeadReward.load(tmp_path / "run" / "reward", "head")
    better, worse = reward(["please", "idiot"]).tolist()
    assert better > worse
    mixed = irl("recover", *files, "--reference", "somewhere")
    assert (mixed.code, "--reference cannot be given beside" in mixed.err) == (2, True)
    half = irl("recover", *files[:2])
    assert (half.code, "--reference-samples" in half.err) == (2, True)
    white = irl("recover", *files, "--method", "log-ratio")
    assert white.code == 2
    baseless = irl("recover", *files, "--set", "features=embeddings")
    assert (baseless.code, "--set base=DIR" in baseless.err) == (2, True)


@pytest.mark.slow
def test_recover_fits_a_pair_by_any_method(inputs: Inputs, tmp_path: Path):
    given = {"preferences": inputs.preferences, "method": "max-entropy", "out": tmp_path / "run"}
    quick = ("--set", "fitting.min_responses=2", "--set", "learning.epochs=5")
    rows = [{"prompt": f"{text} {n}"} for n in range(3) for text in PROMPTS[:3]]
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = irl("recover", *inputs.arguments(**given, prompts=prompts), *quick)
    assert done.code == 0, done.err
    report = RecoveryReport.model_validate_json((tmp_path / "run" / "recovery.json").read_bytes())
    assert report.recovery is not None
    assert (report.recovery.method, report.recovery.seeds) == ("max-entropy", 5)
    assert report.by_seed is not None
    assert [one.seed for one in report.by_seed] == [0, 1, 2, 3, 4]
    (chosen,) = [one for one in report.by_seed if one.chosen]
    assert chosen.heldout_accuracy == report.recovery.heldout_accuracy
    assert chosen.spearman_with_log_ratio == report.fit.spearman_with_log_ratio
    assert {row.scorer for row in report.accuracy} == {"log_ratio", "recovered"}
    assert report.fit.r2 is not None
    table = pq.read_table(tmp_path / "run" / "responses.parquet")
    assert table["log_ratio_nats"].null_count == 0
    again = irl("recover", *inputs.arguments(**given, prompts=prompts), *quick, "--json")
    assert RecoveryReport.model_validate_json(again.out) == report


@pytest.mark.parametrize(
    ("form", "reads"),
    [
        ("features=embeddings", "linear on mean hidden states of"),
        pytest.param("form=transformer", "transformer on the tokens of", marks=pytest.mark.slow),
    ],
)
def test_recover_fits_what_reads_more_than_words(
    form: str, reads: str, inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    given = {"preferences": inputs.preferences, "method": "bradley-terry", "out": tmp_path / "run"}
    quick = ("--set", "learning.epochs=2", "--set", "learning.seeds=[0,1]", "--set", form)
    rows = [{"prompt": f"{text} {n}"} for n in range(2) for text in PROMPTS[:3]]
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = irl("recover", *inputs.arguments(**given, prompts=prompts), *quick)
    assert done.code == 0, done.err
    report = RecoveryReport.model_validate_json((tmp_path / "run" / "recovery.json").read_bytes())
    assert report.reward == f"{reads} {inputs.reference}"
    assert [caveat.code for caveat in report.caveats] == ["no-verdict"]
    reward = HeadReward.load(tmp_path / "run" / "reward", "head")
    assert reward(["a", "b"], ["c", "c"]).isfinite().all()
    assert (tmp_path / "artifacts" / "cache").is_dir() == (form == "features=embeddings")


def test_doctor_names_every_check_and_the_noise_floor(inputs: Inputs):
    done = irl("doctor", inputs.aligned, inputs.reference)
    assert done.code == 0, done.err
    assert {line.split()[0] for line in done.out.splitlines()} <= {"ok", "warning"}
    assert "noise floor" in done.out
    checks = json.loads(irl("doctor", inputs.aligned, inputs.reference, "--json").out)
    assert {check["name"] for check in checks} >= {"tokenizers", "BOS", "EOS", "dtype", "pad"}


def test_doctor_refuses_a_pair_that_cannot_be_audited(inputs: Inputs, tmp_path: Path):
    changes = with_nan(inputs, tmp_path)
    assert_refused(irl("doctor", inputs.aligned, changes["reference"]), "NaN")


def test_runs_are_listed_and_shown(audited: Audited, inputs: Inputs, tmp_path: Path):
    shutil.copytree(audited.out, tmp_path / "audit-1")
    assert irl("score", *inputs.arguments(out=tmp_path / "score-1")).code == 0
    listed = irl("runs", "list", "--root", tmp_path)
    assert {tuple(line.split()[:2]) for line in listed.out.splitlines()} == {
        ("audit-1", "finished"),
        ("score-1", "finished"),
    }
    assert irl("runs", "show", tmp_path / "audit-1").out in audited.done.out
    shown = json.loads(irl("runs", "show", tmp_path / "score-1").out)
    assert shown["command"] == "score"


def test_an_unfinished_run_is_listed_as_such_and_not_shown(audited: Audited, tmp_path: Path):
    copy = shutil.copytree(audited.out, tmp_path / "run")
    (copy / "manifest.json").unlink()
    assert "unfinished" in irl("runs", "list", "--root", tmp_path).out
    assert_refused(irl("runs", "show", copy), "unfinished")


def test_responses_are_exported(audited: Audited, tmp_path: Path):
    for suffix in (".csv", ".jsonl", ".parquet"):
        to = tmp_path / f"table{suffix}"
        assert irl("runs", "export", audited.out, to).code == 0
        assert to.stat().st_size > 0
    assert_refused(irl("runs", "export", audited.out, tmp_path / "table.xls"), ".csv", ".html")


def test_the_page_of_a_run_is_rendered_again(audited: Audited, tmp_path: Path):
    """Also of a run that holds none, and no answers to show on it."""
    page = tmp_path / "page.html"
    assert irl("runs", "export", audited.out, page).out == f"{page}\n"
    assert page.read_bytes() == (audited.out / "report.html").read_bytes()
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("config.yaml", "report.json", "manifest.json"):
        shutil.copy(audited.out / name, bare)
    assert irl("runs", "export", bare, page).code == 0
    assert audited.report.run_id in page.read_text(encoding="utf-8")
    (bare / "report.json").unlink()
    assert_refused(irl("runs", "export", bare, page), "report.json")


def test_schema_prints_the_golden_file():
    golden = (ROOT / "tests" / "golden" / "audit.schema.json").read_text(encoding="utf-8")
    assert irl("runs", "schema").out == golden


def test_organisms_are_named():
    assert "real-detox" in irl("organisms", "list").out


# As a process of its own


@pytest.mark.slow
def test_the_installed_command_audits_and_says_what_it_left_out(inputs: Inputs, tmp_path: Path):
    prompts = write_prompts(tmp_path / "prompts.jsonl", ("one", LONG, "three"))
    arguments = inputs.arguments(prompts=prompts, out="run")
    done = ended(started("audit", *arguments, folder=tmp_path))
    assert done.code == 0, done.err
    assert "Traceback" not in done.err
    first, *stages = done.err.splitlines()
    assert first.startswith(f"irl: {prompts}, line 2 is left out: ")
    assert stages == ["sampled-aligned 1/1", "sampled-reference 1/1", "scored 1/1"]
    assert (tmp_path / "run" / "manifest.json").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("case", ["truncated", "no prompts", "no room to write", "usage"])
def test_the_installed_command_refuses_with_one_sentence(case: str, inputs: Inputs, tmp_path: Path):
    (tmp_path / "file").touch()
    match case:
        case "truncated":
            arguments = inputs.arguments(**truncated(inputs, tmp_path))
        case "no prompts":
            arguments = inputs.arguments(prompts="absent.jsonl")
        case "no room to write":
            arguments = inputs.arguments(out="file/run")
        case _:
            arguments = inputs.arguments(nonsense=1)
    assert_refused(ended(started("audit", *arguments, folder=tmp_path)))


# Interruptions

LONGER = (
    *("--set", "sampling.responses_per_prompt=64", "--set", "sampling.max_new_tokens=40"),
    *("--set", "sampling.prompts_per_shard=1"),
)


def interrupted(command: str, signal_number: int, inputs: Inputs, folder: Path) -> Done:
    """Start a command, and send it a signal when its first shard is finished."""
    process = started(command, *inputs.arguments(out="run"), *LONGER, folder=folder)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not finished_shards(folder / "run" / "parts"):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal_number)
    return ended(process)


def finished_shards(folder: Path) -> list[Path]:
    """Files with a line in their manifest; a signal may fall between a file and its line."""
    lines = [
        (manifest.stem, line)
        for manifest in folder.glob("*.jsonl")
        for line in manifest.read_text(encoding="utf-8").splitlines(keepends=True)
    ]
    return [
        folder / f"{name}-{json.loads(line)['part']:05d}.parquet"
        for name, line in lines
        if line.endswith("\n")
    ]


def file_states(files: Iterable[Path]) -> dict[Path, tuple[int, int]]:
    found = {}
    for file in files:
        try:
            found[file] = (file.stat().st_ino, file.stat().st_mtime_ns)
        except FileNotFoundError:  # removed meanwhile: the run has ended
            continue
    return found


def assert_continues(command: str, inputs: Inputs, folder: Path) -> None:
    """The same command ends with the responses of an undisturbed run, and reuses whole files."""
    run = folder / "run"
    assert not (run / "manifest.json").exists()
    kept = file_states(finished_shards(run / "parts"))
    assert kept
    process = started(command, *inputs.arguments(out="run"), *LONGER, folder=folder)
    while process.poll() is None:
        now = file_states(kept)
        assert all(kept[file] == state for file, state in now.items())
        time.sleep(0.01)
    assert ended(process).code == 0
    assert not (run / "parts").exists()
    whole = folder / "undisturbed"
    assert irl("score", *inputs.arguments(out=whole), *LONGER).code == 0
    columns = ["response_id", "response", "source", "n_tokens", "aligned_nats", "reference_nats"]
    one, other = (pq.read_table(at / "responses.parquet", columns=columns) for at in (run, whole))
    assert one.drop_columns(columns[4:]).equals(other.drop_columns(columns[4:]))
    for name in columns[4:]:
        assert one[name].to_numpy() == pytest.approx(other[name].to_numpy(), abs=1e-3)


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_where_it_was(inputs: Inputs, tmp_path: Path):
    done = interrupted("score", signal.SIGKILL, inputs, tmp_path)
    assert done.code == -signal.SIGKILL
    assert_continues("score", inputs, tmp_path)


@pytest.mark.slow
def test_a_run_that_was_interrupted_says_so_and_goes_on(inputs: Inputs, tmp_path: Path):
    done = interrupted("audit", signal.SIGINT, inputs, tmp_path)
    assert done.code == 130
    (sentence,) = done.err.splitlines()
    assert sentence.startswith("irl: interrupted; the same command continues")
    assert_continues("audit", inputs, tmp_path)
