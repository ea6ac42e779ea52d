"""Rewards of one pair by several methods and seeds, as rows: from audits and recoveries alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from irl.records import (
    Accuracy,
    AuditReport,
    Estimate,
    Recovery,
    RecoveryReport,
    SeedFit,
    TruthAgreement,
)

LABELS, AUTHORS, LOG_RATIO, TRUTH = (
    "pairs ranked as labelled",
    "AUC of who wrote what",
    "Spearman with the log-ratio",
    "Spearman with the true reward",
)
FIGURES: Final = (LABELS, AUTHORS, LOG_RATIO, TRUTH)
TERMS: Final = "log-ratio"
"The method of term rewards, which have no seeds"


@dataclass(frozen=True)
class MethodRow:
    """What one run has recovered by one method, on labels and prompts that were held out."""

    run: str
    "untrusted"
    method: str
    reward: str
    "what kind of function; untrusted"
    seeds: int
    figures: Mapping[str, Estimate | None]
    "by FIGURES"
    status: str
    by_seed: Sequence[SeedFit] = ()
    mean: float | None = None
    "of the seeds' pair accuracy, and what follows too"
    sd: float | None = None
    min: float | None = None
    max: float | None = None
    sign_flip_share: float | None = None

    def of_each_seed(self, figure: str) -> list[tuple[SeedFit, Estimate]]:
        """What the seeds have of a figure; empty where they are not told apart."""
        name = _OF_SEEDS.get(figure)
        found = [(one, getattr(one, name)) for one in self.by_seed] if name else []
        return [(one, value) for one, value in found if value is not None]


_OF_SEEDS: Final = {
    LABELS: "heldout_accuracy",
    AUTHORS: "membership_auc",
    LOG_RATIO: "spearman_with_log_ratio",
}


def rows_of_audit(run: str, report: AuditReport) -> list[MethodRow]:
    """The methods of an audit; most have one."""
    kind = f"{len(report.terms)} terms"
    return [_row(run, kind, one, report.truth) for one in report.recovery]


def row_of_recovery(run: str, report: RecoveryReport) -> MethodRow:
    """The method of a run of `irl recover`."""
    if report.recovery is not None:
        return _row(run, report.reward, report.recovery, report.truth, report.by_seed or ())
    return MethodRow(
        run=run,
        method=TERMS,
        reward=report.reward,
        seeds=1,
        figures={
            LABELS: _preference(report.accuracy),
            AUTHORS: report.fit.membership_auc,
            LOG_RATIO: report.fit.spearman_with_log_ratio,
            TRUTH: _with_truth(report.truth),
        },
        status="fitted",
    )


def _row(
    run: str,
    kind: str,
    found: Recovery,
    truth: Sequence[TruthAgreement] | None,
    by_seed: Sequence[SeedFit] = (),
) -> MethodRow:
    return MethodRow(
        run=run,
        method=found.method.replace("_", "-"),
        reward=kind,
        seeds=found.seeds,
        figures={
            LABELS: found.heldout_accuracy,
            AUTHORS: found.auc,
            LOG_RATIO: found.spearman_with_log_ratio,
            TRUTH: _with_truth(truth),
        },
        status=found.status,
        by_seed=by_seed,
        mean=found.mean,
        sd=found.sd,
        min=found.min,
        max=found.max,
        sign_flip_share=found.sign_flip_share,
    )


def _preference(accuracy: Sequence[Accuracy]) -> Estimate | None:
    """Of the recovered reward, on the first labels."""
    return next((one.preference for one in accuracy if one.scorer == "recovered"), None)


def _with_truth(truth: Sequence[TruthAgreement] | None) -> Estimate | None:
    return next((one.spearman for one in truth or () if one.scorer == "recovered"), None)
