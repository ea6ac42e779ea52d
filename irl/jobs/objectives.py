"""The part of an audit that looks for objectives, and for signs of how they were trained."""

import numpy as np

from irl.config import AuditSettings
from irl.evaluation.candidates import Candidate
from irl.evaluation.objectives import Findings, Search, find_objectives
from irl.evaluation.signs import Signs, Spoken, signs_of
from irl.jobs.answers import Answers
from irl.rewards.terms import TermReward
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


def signs_of_training(
    answers: Answers, findings: Findings, reward: TermReward, settings: AuditSettings
) -> Signs:
    """What the answers say of how they were trained."""
    own = [
        ours if mine else theirs
        for ours, theirs, mine in zip(
            answers.aligned_nats, answers.reference_nats, answers.aligned, strict=True
        )
    ]
    spoken = Spoken(
        answers.texts,
        answers.asked_of,
        answers.returns,
        np.array([nats.sum() for nats in own]),
        np.array([float(len(nats)) for nats in own]),
        answers.aligned,
        answers.prompt,
        answers.fold(settings.fitting.n_folds),
    )
    return signs_of(spoken, findings.objectives, reward, settings.seed)


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
