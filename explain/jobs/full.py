"""What `irl audit --full` adds to an audit: the other explanations, of the same answers.

Each part is the core of the command of its name, with that command's defaults but for two:
attribution by every method, on 8 prompts, and concepts over up to four layers; trust asks about the
audit's own reward (see `full_trust`). A part that is finished is kept if the audit is interrupted;
one that a pair does not allow is left out, and the reason stands among the caveats.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from explain.concepts.states import read_log_ratio
from explain.jobs.attribution import ATTRIBUTION, EVERY, AttributeSettings, attribute_answers
from explain.jobs.concepts import CONCEPTS, ConceptSettings, concept_answers, declared_concepts
from explain.jobs.full_trust import trust_of_audit
from explain.jobs.one_token import ONE_TOKEN_FILE, everywhere, token_answers
from explain.jobs.one_token_scores import TokensSettings
from explain.jobs.probe import PROBES, Probing, answers_of_run, probe_answers
from explain.jobs.probe_settings import ProbeSettings
from explain.jobs.segment_credit import (
    SEGMENTS_FILE,
    SegmentSettings,
    credit_answers,
    read_said,
)
from explain.probes.declared import read_probes
from explain.targets import log_ratio
from irl.config import AuditSettings, ScoreSettings
from irl.data import LabelledResponse, PromptRow, Table
from irl.engine.shards import Progress
from irl.errors import IrlError, ServerError
from irl.jobs.clock import Clock
from irl.jobs.scoring import asked_of
from irl.jobs.trust import REPORT as TRUST
from irl.policies.pair import PolicyPair
from irl.records import (
    AttributionReport,
    AuditReport,
    Caveat,
    ConceptsReport,
    Explanations,
    OneTokenReport,
    ProbesReport,
    Record,
    SegmentsReport,
    TrustReport,
)
from irl.runs import RunFolder, read_record

Kind = TypeVar("Kind", bound=Record)


@dataclass(frozen=True)
class Audited:
    """An audit whose answers and reward are written, but not its report."""

    run: RunFolder
    pair: PolicyPair
    settings: AuditSettings
    prompts: Table[PromptRow]
    labels: list[Table[LabelledResponse]]
    found: AuditReport
    "less what is explained here"
    clock: Clock
    progress: Progress

    @property
    def shared(self) -> dict[str, Any]:
        """The settings of the pair and of its sampling, as plain values."""
        held = self.settings.model_dump(mode="json")
        return {key: held[key] for key in ScoreSettings.model_fields}

    def folder(self, command: str) -> RunFolder:
        """The audit's folder, for a part with its own command."""
        return replace(self.run, command=command)


def with_explanations(audited: Audited) -> AuditReport:
    """The report with every part that could be measured."""
    found, missing = explained(audited)
    report, verdict = audited.found, audited.found.verdict
    verdict = verdict.model_copy(update={"caveats": [*verdict.caveats, *missing]})
    return report.model_copy(update={"explanations": found, "verdict": verdict})


def explained(audited: Audited) -> tuple[Explanations, list[Caveat]]:
    """Every part, one after the other, and why some could not be measured."""
    missing: list[Caveat] = []

    def part(file: str, kind: type[Kind], make: Callable[[Audited], Kind]) -> Kind | None:
        path = audited.run.path / file
        with audited.clock.stage(path.stem):
            try:
                return read_record(path, kind) if path.is_file() else make(audited)
            except ServerError:  # may pass: the run stays unfinished, and goes on here
                raise
            except IrlError as error:
                code = f"not-measured-{path.stem.replace('_', '-')}"
                missing.append(Caveat(code=code, text=str(error)))
                return None

    found = Explanations(
        attribution=part(ATTRIBUTION, AttributionReport, _attributed),
        concepts=part(CONCEPTS, ConceptsReport, _concepts),
        probes=part(PROBES, ProbesReport, _probed),
        segments=part(SEGMENTS_FILE, SegmentsReport, _credited),
        one_token=part(ONE_TOKEN_FILE, OneTokenReport, _one_token),
        trust=part(TRUST, TrustReport, _trusted),
    )
    return found, missing


def _attributed(of: Audited) -> AttributionReport:
    asked = {"run": str(of.run.path), "methods": EVERY, "seed": of.settings.seed, "prompts": 8}
    settings = AttributeSettings.checked(asked)
    folder = of.folder("attribute")
    return attribute_answers(folder, settings, of.pair, of.settings, Clock(), of.progress)


def _concepts(of: Audited) -> ConceptsReport:
    asked = {"run": str(of.run.path), "spread": True, "seed": of.settings.seed}
    settings = ConceptSettings.checked(asked)
    declared = declared_concepts(None, allow_code=False)
    reading = read_log_ratio(of.pair, of.settings.chat, settings.token_budget)
    folder = of.folder("concepts")
    return concept_answers(folder, settings, declared, reading, of.settings, Clock())


def _probed(of: Audited) -> ProbesReport:
    settings = ProbeSettings.checked({**of.shared, "run": str(of.run.path)})
    target = log_ratio(of.pair, settings.sampling, settings.chat)
    probing = Probing(of.pair, target, read_probes(None), of.labels)
    ground = answers_of_run(of.run.path, settings)
    return probe_answers(of.folder("probe"), settings, probing, ground)


def _credited(of: Audited) -> SegmentsReport:
    settings = SegmentSettings.checked({"run": str(of.run.path), "seed": of.settings.seed})
    return credit_answers(of.folder("segments"), settings, read_said(of.run.path), of.run.run_id)


def _one_token(of: Audited) -> OneTokenReport:
    shared = {key: value for key, value in of.shared.items() if key != "sampling"}
    settings = TokensSettings.checked({**shared, "run": str(of.run.path)})
    folder = of.folder("tokens")
    asked = asked_of(folder, of.pair, of.prompts, settings)
    return token_answers(folder, settings, of.pair, asked, everywhere(of.found.terms), of.progress)


def _trusted(of: Audited) -> TrustReport:
    found = of.found.verdict.objective_found
    return trust_of_audit(of.folder("trust"), of.pair, of.prompts.rows, of.settings, found)
