"""`irl drift`: checkpoints between a reference and a policy, from outside."""

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from explain.jobs.series import drift
from explain.series_page import render_series
from irl.config import ScoreSettings
from irl.jobs.scoring import score
from irl.organisms.language import train_tokenizer
from irl.records import Estimate, Manifest, SeriesReport
from tests.fakes import SENTENCES, model, nudged, save
from tests.test_command_line import PROMPTS, SMALL, assert_refused, irl, write_prompts

pytestmark = pytest.mark.slow

SAMPLING = {"responses_per_prompt": 4, "max_new_tokens": 6}
SIZES = {0: 0.0, 5: 0.03, 10: 0.06, 100: 0.12}
"How far each checkpoint lies from the reference, along one direction"


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a trainer leaves it, with the reference and prompts beside it."""
    root = tmp_path_factory.mktemp("training")
    reference = model()
    save(reference, root / "reference")
    for step, size in SIZES.items():
        save(nudged(reference, size), root / f"trained/checkpoint-{step}")
    write_prompts(root / "prompts.jsonl", PROMPTS)
    return root


def flags(training: Path, *aligned: object) -> list[str]:
    given = [part for one in aligned for part in ("--aligned", str(one))]
    files = ["--reference", training / "reference", "--prompts", training / "prompts.jsonl"]
    return [*given, *map(str, files), *SMALL]


@pytest.fixture(scope="module")
def report(training: Path) -> SeriesReport:
    done = irl("drift", *flags(training, training / "trained"), "--out", training / "run")
    assert done.code == 0, done.err
    return SeriesReport.model_validate_json((training / "run/series.json").read_bytes())


def values(line: list[Estimate | None]) -> list[float]:
    return [one.value for one in line if one is not None]


def test_checkpoints_come_in_the_order_of_their_steps(report: SeriesReport):
    assert [one.name for one in report.checkpoints] == [f"checkpoint-{n}" for n in sorted(SIZES)]
    assert [one.order for one in report.checkpoints] == [0, 1, 2, 3]


def test_the_divergence_of_the_reference_from_itself_is_exactly_0(report: SeriesReport):
    for measure in ("sequence_kl_nats", "token_kl_nats", "reverse_sequence_kl_nats"):
        first = report.of(measure)[0]
        assert first is not None
        assert (first.value, first.low, first.high) == (0, 0, 0)
    ours, theirs = (report.of("token_entropy_nats", side)[0] for side in ("aligned", "reference"))
    assert ours is not None
    assert theirs is not None
    assert ours.value > 0


def test_the_divergence_grows_on_the_way_from_the_reference(report: SeriesReport):
    for measure in ("sequence_kl_nats", "reverse_sequence_kl_nats"):
        found = values(report.of(measure))
        assert len(found) == len(SIZES)
        assert sorted(found) == found, found
        assert len(set(found)) == len(SIZES)


def test_the_references_answers_are_drawn_once_and_measured_alike(report: SeriesReport):
    for measure in ("token_entropy_nats", "length_words", "length_tokens"):
        assert len(set(values(report.of(measure, "reference")))) == 1


def test_a_checkpoint_moved_as_far_as_scoring_it_alone_says(
    report: SeriesReport, training: Path, tmp_path: Path
):
    settings = ScoreSettings.checked(
        {
            "aligned": str(training / "trained/checkpoint-100"),
            "reference": str(training / "reference"),
            "prompts": str(training / "prompts.jsonl"),
            "sampling": SAMPLING,
        }
    )
    rows = pq.read_table(score(settings, tmp_path / "run").path / "responses.parquet").to_pandas()
    alone = rows[rows.source == "aligned"].log_ratio_nats.mean()
    assert values(report.of("sequence_kl_nats"))[-1] == pytest.approx(alone, abs=1e-9)


def test_the_table_holds_the_rows_of_the_report(report: SeriesReport, training: Path):
    table = pq.read_table(training / "run/series.parquet")
    names = ["checkpoint", "order", "measure", "name", "value", "low", "high", "n"]
    assert table.column_names == names
    assert table.num_rows == len(report.rows)
    assert table["value"].to_pylist() == [
        row.estimate and row.estimate.value for row in report.rows
    ]


def test_the_folder_is_whole_and_the_command_says_that_it_is_finished(
    report: SeriesReport, training: Path
):
    run = training / "run"
    manifest = Manifest.model_validate_json((run / "manifest.json").read_bytes())
    assert set(manifest.files) == {"config.yaml", "series.json", "series.html", "series.parquet"}
    assert manifest.counts["responses"] == (len(SIZES) + 1) * 4 * len(PROMPTS)
    again = irl("drift", *flags(training, training / "trained"), "--out", run)
    assert again.code == 0
    assert "is finished" in again.err
    assert again.out.startswith(f"Series {report.run_id}\n")
    assert irl("runs", "show", run).out.startswith(f"Series {report.run_id}\n")


def test_permuted_checkpoints_give_the_permuted_series_and_may_follow_one_flag(
    report: SeriesReport, training: Path, tmp_path: Path
):
    turned = [training / f"trained/checkpoint-{step}" for step in (100, 0, 10)]
    given = flags(training, turned[0])
    done = irl("drift", *given[:2], *turned[1:], *given[2:], "--out", tmp_path / "run", "--json")
    assert done.code == 0, done.err
    other = SeriesReport.model_validate_json(done.out)
    assert [one.name for one in other.checkpoints] == [path.name for path in turned]
    for measure in ("sequence_kl_nats", "token_entropy_nats", "length_words", "fit_r2"):
        name = "aligned" if measure.startswith(("token_e", "length")) else ""
        straight = report.of(measure, name)
        assert other.of(measure, name) == [straight[3], straight[0], straight[2]]


def test_an_interrupted_series_goes_on_to_the_same_rows(
    report: SeriesReport, training: Path, tmp_path: Path
):
    stages = []

    def stop(what: str, _done: int, _total: int) -> None:
        stages.append(what)
        if len(stages) == 8:
            raise KeyboardInterrupt

    from explain.jobs.series import run_drift
    from irl.jobs.checkpoints import SeriesSettings

    settings = SeriesSettings.checked(
        {
            "aligned": (str(training / "trained"),),
            "reference": str(training / "reference"),
            "prompts": str(training / "prompts.jsonl"),
            "sampling": SAMPLING,
        }
    )
    with pytest.raises(KeyboardInterrupt):
        run_drift(settings, tmp_path, progress=stop)
    kept = {file: file.stat().st_mtime_ns for file in (tmp_path / "parts").rglob("*.parquet")}
    assert len(kept) == 6
    stages.clear()

    def watch(what: str, _done: int, _total: int) -> None:
        now = {file: file.stat().st_mtime_ns for file in kept if file.is_file()}
        assert now == kept

    assert run_drift(settings, tmp_path, progress=watch).report.rows == report.rows


def test_a_script_gets_the_same_report(report: SeriesReport, training: Path, tmp_path: Path):
    found = drift(
        [training / "trained"],
        training / "reference",
        prompts=training / "prompts.jsonl",
        out=tmp_path / "run",
        sampling=SAMPLING,
    )
    assert found.rows == report.rows


def test_the_page_loads_nothing_and_escapes_what_it_shows(report: SeriesReport):
    evil = "<img src=x onerror=alert(1)>"
    weight = Estimate(value=-1.0, low=-2.0, high=-0.5, n=4)
    of_evil = [
        report.rows[0].model_copy(
            update={
                "checkpoint": one.name,
                "order": one.order,
                "measure": "term_weight_nats",
                "name": evil,
                "estimate": None if one.order == 0 else weight,
            }
        )
        for one in report.checkpoints
    ]
    checkpoints = [
        one.model_copy(update={"name": f"{evil}{one.name}"}) for one in report.checkpoints
    ]
    update = {"rows": [*report.rows, *of_evil], "checkpoints": checkpoints}
    page = render_series(report.model_copy(update=update))
    assert evil not in page
    assert "default-src 'none'" in page
    assert "-1.00<small>-2.00 to -0.50" in page
    for code in ("weights-in-units-of-beta", "same-reference"):
        assert code in page


# What it refuses


def test_one_checkpoint_is_no_series(training: Path):
    one = training / "trained/checkpoint-5"
    assert_refused(irl("drift", *flags(training, one)), "two checkpoints", "--aligned")


def test_a_checkpoint_that_is_named_twice_is_refused(training: Path):
    one = training / "trained/checkpoint-5"
    assert_refused(irl("drift", *flags(training, one, one)), "named twice", "checkpoint-5")


def test_a_folder_that_is_not_there_is_refused(training: Path, tmp_path: Path):
    missing = tmp_path / "nowhere"
    done = irl("drift", *flags(training, training / "trained", missing), "--out", tmp_path / "run")
    assert_refused(done, str(missing))
    assert not (tmp_path / "run").exists()


def test_checkpoints_of_another_tokenizer_are_refused_before_work_begins(
    training: Path, tmp_path: Path
):
    other = save(model(n_pieces=300), tmp_path / "other")
    train_tokenizer(SENTENCES * 3, 300).save_pretrained(other)
    done = irl("drift", *flags(training, training / "trained", other), "--out", tmp_path / "run")
    assert_refused(done, "tokenise differently", "other")
    assert not (tmp_path / "run").exists()


def test_checkpoints_with_another_chat_template_are_refused(training: Path, tmp_path: Path):
    other = tmp_path / "checkpoint-7"
    shutil.copytree(training / "trained/checkpoint-5", other)
    (other / "chat_template.jinja").write_text("{{ messages[0].content }}", encoding="utf-8")
    done = irl("drift", *flags(training, training / "trained", other))
    assert_refused(done, "not of one series", "chat templates differ")


def test_further_checkpoints_follow_one_flag_only(training: Path):
    trained = training / "trained"
    done = irl("drift", "extra", *flags(training, trained, trained))
    assert_refused(done, "--aligned A1 A2 A3")


def test_no_prompts_are_refused(training: Path):
    done = irl("drift", "--aligned", training / "trained", "--reference", training / "reference")
    assert_refused(done, "--prompts")
