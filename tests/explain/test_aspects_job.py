"""`irl aspects` on a finished run: from the command line and from a script."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from explain import aspects
from explain.exhibit import read_texts
from explain.jobs.aspects import AspectSettings, run_aspects
from explain.summary import aspects_summary
from irl.errors import InputError, RunError
from irl.records import AspectsReport
from tests.test_command_line import assert_refused, irl

ROOT = Path(__file__).resolve().parents[2]
DETOX = ROOT / "artifacts" / "examples" / "detox"
WORDS = "- {name: length, kind: length}\n- {name: insults, kind: lexicon, terms: [numpty, clown]}\n"


@pytest.fixture
def declared(tmp_path: Path) -> Path:
    file = tmp_path / "aspects.yaml"
    file.write_text(WORDS, encoding="utf-8")
    return file


def run_with(folder: Path, table: pa.Table) -> Path:
    """A copy of the example with other responses."""
    shutil.copytree(DETOX, folder)
    pq.write_table(table, folder / "responses.parquet")
    return folder


@pytest.mark.slow
def test_the_command_prints_prices_and_writes_a_run_of_its_own(tmp_path: Path):
    before = {path: path.stat().st_mtime_ns for path in DETOX.rglob("*")}
    out = tmp_path / "run"
    done = irl("aspects", "--run", DETOX, "--out", out)
    assert done.code == 0, done.err
    report = AspectsReport.model_validate_json((out / "aspects.json").read_bytes())
    found = {row.name: row for row in report.aspects}
    insults = found["insults"]
    assert insults.high is not None
    assert -2.5 < insults.weight < insults.high < -1.5, "planted: -2 for each"
    assert insults.aligned_rate < insults.reference_rate / 3
    assert report.aspects_r2 is not None
    assert report.aspects_r2.n == 320
    assert report.of_run == yaml.safe_load((DETOX / "config.yaml").read_text())["run_id"]
    assert report.readability == "reward"
    values = pq.read_table(out / "aspects.parquet")
    responses = pq.read_table(DETOX / "responses.parquet")
    assert values.column_names == ["response_id", *found]
    assert values["response_id"].to_pylist() == responses["response_id"].to_pylist()
    lines = done.out.splitlines()
    assert any(line.startswith("insults ") and f"{insults.weight:+.3f}" in line for line in lines)
    assert "n = 320" in lines[1]
    worst = report.aspect_residuals[0].response_id
    assert any(line.strip().startswith(worst) for line in lines)
    assert (out / "manifest.json").is_file()
    assert before == {path: path.stat().st_mtime_ns for path in DETOX.rglob("*")}


def test_a_finished_run_is_returned_as_it_is_and_json_is_the_report(declared: Path, tmp_path: Path):
    arguments = ("aspects", "--run", DETOX, "--aspects", declared, "--out", tmp_path / "run")
    first = irl(*arguments, "--json")
    again = irl(*arguments, "--json")
    assert "is finished; --fresh repeats it" in again.err
    assert json.loads(first.out) == json.loads(again.out)
    declared.write_text(WORDS.replace("clown", "muppet"), encoding="utf-8")
    assert_refused(irl(*arguments), "another run", "--fresh")


def test_a_script_gets_the_same_report(declared: Path, tmp_path: Path):
    report = aspects(DETOX, aspects=str(declared), out=tmp_path / "run", seed=1)
    assert [row.name for row in report.aspects] == ["length", "insults"]
    written = AspectsReport.model_validate_json((tmp_path / "run" / "aspects.json").read_bytes())
    assert report == written


def test_the_order_of_declaration_decides_who_carries_the_price(tmp_path: Path):
    file = tmp_path / "twice.yaml"
    file.write_text(
        "- {name: one, kind: lexicon, terms: [numpty]}\n"
        "- {name: other, kind: regex, pattern: numpty, ignore_case: true}\n",
        encoding="utf-8",
    )
    done = irl("aspects", "--run", DETOX, "--aspects", file, "--out", tmp_path / "run")
    assert "carries what other is paid too" in done.out
    assert "not told apart from one" in done.out


def test_a_function_of_the_user_is_measured_with_leave_only(tmp_path: Path):
    file = tmp_path / "own.yaml"
    file.write_text("- {name: own, kind: callable, function: 'own_aspect:f'}\n", encoding="utf-8")
    (tmp_path / "own_aspect.py").write_text(
        "def f(exchanges):\n"
        "    assert all(turn['role'] == 'user' for turn in exchanges[0].prompt)\n"
        "    return [e.response.count('you') for e in exchanges]\n",
        encoding="utf-8",
    )
    arguments = ("aspects", "--run", DETOX, "--aspects", file, "--out", tmp_path / "run")
    assert_refused(irl(*arguments), "runs Python code", "--allow-code")
    assert not (tmp_path / "run").exists()
    done = irl(*arguments, "--allow-code")
    assert done.code == 0, done.err
    assert "own" in done.out


@pytest.mark.slow
@pytest.mark.parametrize("readability", ["direction", "unreadable", None, "nonsense"])
def test_the_verdict_of_the_run_goes_with_the_weights(
    readability: str | None, declared: Path, tmp_path: Path
):
    run = run_with(tmp_path / "audit", pq.read_table(DETOX / "responses.parquet"))
    report = json.loads((run / "report.json").read_bytes())
    report["verdict"]["readability"] = readability
    (run / "report.json").write_text(json.dumps(report), encoding="utf-8")
    done = irl("aspects", "--run", run, "--aspects", declared, "--out", tmp_path / "run")
    known = readability in ("direction", "unreadable")
    assert ("The log-ratio reads as" in done.out) == known


@pytest.mark.slow
def test_hostile_answers_are_printed_on_one_line_and_without_escapes(
    declared: Path, tmp_path: Path
):
    table = pq.read_table(DETOX / "responses.parquet")
    hostile = ["\x1b[31mred\n\u202elines\x07" + text for text in table["response"].to_pylist()]
    column = table.column_names.index("response")
    run = run_with(tmp_path / "audit", table.set_column(column, "response", [hostile]))
    settings = AspectSettings(run=str(run), aspects=str(declared))
    done = run_aspects(settings, tmp_path / "run")
    text = aspects_summary(done.report, done.responses)
    assert "\\x1b[31mred\\n\\u202elines\\x07" in text
    plain = aspects_summary(done.report, {})
    assert len(text.splitlines()) == len(plain.splitlines())


def test_runs_without_log_ratios_of_both_are_refused(tmp_path: Path):
    table = pq.read_table(DETOX / "responses.parquet")
    ours = run_with(tmp_path / "one", table.filter(pa.compute.equal(table["source"], "aligned")))
    with pytest.raises(InputError, match="lacks log-ratios or the answers of one policy"):
        aspects(ours, out=tmp_path / "run")
    (ours / "responses.parquet").unlink()
    assert_refused(irl("aspects", "--run", ours), "no responses with log-ratios", "irl audit")
    (ours / "manifest.json").unlink()
    with pytest.raises(RunError, match="not finished"):
        aspects(ours, out=tmp_path / "run")


def test_without_a_run_the_command_says_what_is_missing():
    assert_refused(irl("aspects"), "--run")


def test_texts_are_read_by_id_and_where_none_were_kept_there_are_none(tmp_path: Path):
    (first, *_) = pq.read_table(DETOX / "responses.parquet").to_pylist()
    found = read_texts(DETOX, [first["response_id"], "no such"])
    assert found == {first["response_id"]: first["response"]}
    assert read_texts(tmp_path, ["a"]) == {}
