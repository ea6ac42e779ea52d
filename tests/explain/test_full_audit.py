"""`irl audit --full` on tiny models: its parts are those of the single commands, and are kept."""

import json
import math
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from explain.jobs import full, full_trust
from explain.jobs.attribution import attribute
from explain.jobs.audit import run_audit
from explain.jobs.probe import probe_run
from explain.jobs.probe_settings import probe_settings
from irl.config import AuditSettings
from irl.errors import PolicyError, ServerError
from irl.jobs.trust_grounds import grounds_of
from irl.records import AttributionReport, AuditReport, ProbesReport, Record, TrustReport
from irl.runs import read_run
from tests import fakes
from tests.explain import parts

_ABOUT_THE_RUN = ("run_id", "created", "settings", "timings_seconds", "peak_memory_bytes")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> AuditSettings:
    folder = tmp_path_factory.mktemp("full")
    aligned, reference = fakes.save_pair(folder)
    subjects = ("the cat", "the dog", "a house", "green apples", "the weather", "12 kinds")
    rows = [json.dumps({"prompt": f"{one} {way}"}) for one in subjects for way in ("is", "was")]
    (folder / "prompts.jsonl").write_text("\n".join(rows) + "\n")
    return AuditSettings.checked(
        {
            "aligned": str(aligned),
            "reference": str(reference),
            "prompts": str(folder / "prompts.jsonl"),
            "sampling": {"responses_per_prompt": 4, "max_new_tokens": 8},
            "fitting": {"min_responses": 2},
            "full": True,
        }
    )


@pytest.fixture(scope="module")
def audited(settings: AuditSettings) -> tuple[Path, AuditReport]:
    folder = Path(settings.aligned).parent / "run"
    return folder, run_audit(settings, folder).report


def _found(report: Record) -> dict[str, object]:
    """What was measured, less what tells of the run."""
    return report.model_dump(exclude=set(_ABOUT_THE_RUN))


@pytest.mark.slow_extra
def test_the_parts_are_those_of_the_single_commands(audited: tuple[Path, AuditReport]) -> None:
    folder, report = audited
    assert report.explanations is not None
    alone = attribute(folder, out=folder.parent / "attribute", methods=full.EVERY, prompts=8)
    assert _found(report.explanations.attribution) == _found(alone)
    asked = probe_settings(None, [], {"run": str(folder)})
    probed = probe_run(asked, folder.parent / "probe").report
    assert _found(report.explanations.probes) == _found(probed)


def test_every_part_is_a_file_of_the_run_and_on_its_page(
    audited: tuple[Path, AuditReport],
) -> None:
    folder, report = audited
    for name in ("attributions", "concepts", "probes", "segments", "one_token", "triage"):
        assert (folder / f"{name}.parquet").is_file()
    page = (folder / "report.html").read_text()
    assert "Probes: one thing is changed" in page
    assert "May this reward be believed here?" in page
    assert "not-measured-explanations" not in {row.code for row in report.verdict.caveats}


def test_trust_stands_below_the_verdict_on_prompts_that_no_member_saw(
    audited: tuple[Path, AuditReport], tmp_path: Path
) -> None:
    """The members are a run of their own, which can be asked again wherever the audit lies."""
    folder, report = audited
    assert report.explanations is not None
    trust = report.explanations.trust
    assert trust is not None
    assert report.verdict.objective_found is False
    assert (trust.lamp.colour, trust.lamp.reasons[0]) == ("red", full_trust.REASONS[False])
    assert trust.measures.kl_nats is not None
    assert trust.measures.kl_nats.value < math.log(2) + 0.2, "of one half of a mixture"
    shutil.copytree(folder, tmp_path / "moved")
    grounds = grounds_of(str(tmp_path / "moved" / full_trust.ENSEMBLE))
    assert str(grounds.settings.run) == str(tmp_path / "moved")
    asked = set(pq.read_table(folder / "triage.parquet")["prompt"].to_pylist())
    assert asked == set(grounds.held_out.prompts)
    assert not asked & set(grounds.training.prompts)


def test_no_light_of_an_audit_is_better_than_its_verdict() -> None:
    given = TrustReport.model_validate(parts.trust("t"))
    green = [one.model_copy(update={"colour": "green"}) for one in given.signals]
    groups = [one.model_copy(update={"colour": "green"}) for one in given.groups]
    report = given.model_copy(update={"signals": green, "groups": groups})
    for found, colour in ((True, "green"), (None, "amber"), (False, "red")):
        below = full_trust.below_the_verdict(report, found)
        assert below.lamp.colour == colour
        assert {one.colour for one in below.groups} == {colour}
        assert full_trust.below_the_verdict(given, found).lamp.colour == "red"
        assert full_trust.OF_THESE in below.caveats


@pytest.mark.slow_extra
def test_a_part_that_was_finished_is_kept_when_the_audit_was_killed(
    settings: AuditSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> ProbesReport:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(full, "_probed", killed)
        with pytest.raises(KeyboardInterrupt):
            run_audit(settings, tmp_path / "run")
    kept = (tmp_path / "run" / "attribution.json").read_bytes()
    monkeypatch.setattr(full, "_attributed", killed)
    report = run_audit(settings, tmp_path / "run").report
    assert report.explanations is not None
    assert report.explanations.attribution == AttributionReport.model_validate_json(kept)


def test_a_part_that_the_pair_does_not_allow_is_null_with_its_reason(
    audited: tuple[Path, AuditReport], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other parts are those of the finished audit, copied as if it had been killed."""

    def refused(_: full.Audited) -> Record:
        raise PolicyError("This model shows no hidden states.")

    folder, _ = audited
    shutil.copytree(folder, tmp_path / "run")
    for gone in ("manifest.json", "report.json", "concepts.json"):
        (tmp_path / "run" / gone).unlink()
    monkeypatch.setattr(full, "_concepts", refused)
    settings = AuditSettings.checked(read_run(folder).manifest.settings)
    report = run_audit(settings, tmp_path / "run").report
    assert report.explanations is not None
    assert report.explanations.concepts is None
    assert report.explanations.probes is not None
    (said,) = [row for row in report.verdict.caveats if row.code == "not-measured-concepts"]
    assert said.text == "This model shows no hidden states."


def test_a_server_that_fails_leaves_the_audit_unfinished_and_no_part_out(
    audited: tuple[Path, AuditReport], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_: full.Audited) -> Record:
        raise ServerError("No usable answer.")

    folder, _ = audited
    shutil.copytree(folder, tmp_path / "run")
    for name in ("manifest.json", "report.json", "concepts.json"):
        (tmp_path / "run" / name).unlink()
    monkeypatch.setattr(full, "_concepts", gone)
    settings = AuditSettings.checked(read_run(folder).manifest.settings)
    with pytest.raises(ServerError, match="No usable answer"):
        run_audit(settings, tmp_path / "run")
    assert read_run(tmp_path / "run").state == "unfinished"
    assert (tmp_path / "run" / "probes.json").is_file()
