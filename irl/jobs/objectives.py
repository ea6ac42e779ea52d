"""The part of an audit that looks for objectives."""

from irl.config import AuditSettings
from irl.evaluation.candidates import Candidate
from irl.evaluation.objectives import Findings, Search, find_objectives
from irl.jobs.answers import Answers
from irl.runs import RunFolder


def search(run: RunFolder, answers: Answers, settings: AuditSettings) -> Findings:
    """Find objectives in answers; log.jsonl gets the figures of every candidate."""
    findings = find_objectives(
        answers.texts,
        answers.returns,
        answers.prompt,
        answers.fold(settings.fitting.n_folds),
        answers.asked,
        Search(settings.fitting, settings.deciding, settings.seed),
    )
    for candidate in findings.candidates:
        run.log("candidate", **_facts(candidate))
    return findings


def _facts(candidate: Candidate) -> dict[str, object]:
    return {
        "kind": candidate.kind,
        "condition": candidate.condition and candidate.condition.model_dump(exclude_none=True),
        "terms": candidate.terms,
        "r2": candidate.r2 and candidate.r2.model_dump(),
        "sd_nats": candidate.sd_nats and candidate.sd_nats.model_dump(),
        "p_value": candidate.p_value,
        "explained_squares": candidate.explained_squares,
        "found": candidate.found,
    }
