"""Rewards that were recovered from one pair: an audit's, and those of `irl recover`."""

from collections.abc import Sequence
from dataclasses import dataclass

from dashboard import loading
from dashboard.loading import Run
from explain.method_rows import MethodRow, row_of_recovery, rows_of_audit
from irl.errors import RunError
from irl.records import (
    Accuracy,
    AuditReport,
    Contraction,
    PromptCondition,
    RecoveryReport,
    TruthAgreement,
)

Pair = tuple[str, str]
"Hashes of the aligned and of the reference checkpoint"


@dataclass(frozen=True)
class Held:
    """What a run says of the rewards that it holds."""

    pair: Pair | None
    "None of samples alone"
    methods: list[MethodRow]
    accuracy: list[Accuracy]
    conditions: list[PromptCondition]
    "of the objectives that were found"
    truth: list[TruthAgreement] | None = None
    contraction: list[Contraction] | None = None
    recovery: RecoveryReport | None = None
    "where the run is one of `irl recover`"


def held(run: Run) -> Held:
    """What an audit, or a run of `irl recover`, holds.

    Raises:
        RunError: its report cannot be read.
    """
    if run.report is not None:
        return _of_audit(run.name, run.report)
    report = loading.record(run.path, "recovery.json", RecoveryReport)
    pair = None
    if report.aligned is not None and report.reference is not None:
        pair = report.aligned.sha256, report.reference.sha256
    return Held(
        pair,
        [row_of_recovery(run.name, report)],
        report.accuracy,
        [],
        report.truth,
        recovery=report,
    )


def of_same_pair(chosen: Run, runs: Sequence[Run]) -> list[MethodRow]:
    """The methods of the chosen run, then those of all other runs of its two checkpoints, by name.

    What cannot be read has no row; the page of that run says why.

    Raises:
        RunError: the report of the chosen run cannot be read.
    """
    mine = held(chosen)
    rows = list(mine.methods)
    if mine.pair is None:
        return rows
    for run in sorted(runs, key=lambda one: one.name):
        if run.name == chosen.name:
            continue
        try:
            other = held(run)
        except RunError:
            continue
        rows += other.methods if other.pair == mine.pair else []
    return rows


def _of_audit(name: str, report: AuditReport) -> Held:
    pair = report.pair
    conditions = [one.condition for one in report.objectives if one.condition is not None]
    return Held(
        (pair.aligned.sha256, pair.reference.sha256),
        rows_of_audit(name, report),
        report.accuracy,
        list(dict.fromkeys(conditions)),
        report.truth,
        report.contraction,
    )
