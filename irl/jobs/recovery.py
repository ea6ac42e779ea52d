"""The job `irl recover`: an explicit reward from a pair, without judging it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from irl.config import RecoverSettings
from irl.engine.engine import HERE, Engine
from irl.engine.shards import Progress, silent
from irl.evaluation.conditions import PromptSet
from irl.evaluation.fit import fit
from irl.jobs.agreement import agreement, read_labels
from irl.jobs.answers import Answers, Recovered
from irl.jobs.clock import Clock
from irl.jobs.known_truth import KnownTruth, Scorer, known_truth, truth_hash
from irl.jobs.scoring import (
    input_hashes,
    prompts_of,
    sample_and_score,
    say_finished,
    write_tables,
)
from irl.policies.pair import load_pair
from irl.policies.quiet import quiet_libraries
from irl.policies.served.policy import served_caveats
from irl.records import Fit, RecoveryReport, TruthAgreement
from irl.recovery.catalogue import Conditioned
from irl.recovery.log_ratio import TermFit, fit_terms
from irl.rewards.stored import Reward, load_reward
from irl.runs import RunFolder, open_run, read_record


@dataclass(frozen=True)
class RecoveredRun:
    """A finished recovery; the reward itself lies in the run's folder `reward`."""

    run: RunFolder
    report: RecoveryReport

    @classmethod
    def as_it_is(cls, run: RunFolder) -> "RecoveredRun":
        """A run that was finished before; says so."""
        say_finished(run)
        return cls(run, read_record(run.path / "recovery.json", RecoveryReport))

    @classmethod
    def written(
        cls, run: RunFolder, report: RecoveryReport, counts: Mapping[str, int]
    ) -> "RecoveredRun":
        """Write the report, and finish the run."""
        run.write_text("recovery.json", report.to_json())
        run.finish(counts)
        return cls(run, report)

    @cached_property
    def reward(self) -> Reward:
        """The reward, callable on texts."""
        return load_reward(self.run.path / "reward")


def recover_terms(
    settings: RecoverSettings,
    out: Path | None = None,
    *,
    fresh: bool = False,
    progress: Progress = silent,
    engine: Engine = HERE,
) -> RecoveredRun:
    """Recover a reward into a run folder; a finished run is returned as it is.

    Raises:
        InputError: the prompts, preferences or settings cannot be used.
        PolicyError: the pair cannot be scored.
        RunError: the run folder cannot be written or holds another run.
    """
    quiet_libraries()
    prompts, labels = prompts_of(settings), read_labels(settings.preferences)
    pair = load_pair(
        settings.aligned, settings.reference, settings.loading, weights=engine.models_here
    )
    inputs = input_hashes(pair, prompts, labels) | truth_hash(settings)
    run = open_run("recover", settings.model_dump(mode="json"), inputs, out, fresh=fresh)
    if run.finished:
        return RecoveredRun.as_it_is(run)
    sampled = sample_and_score(run, pair, prompts, settings, Clock(), progress, engine)
    answers = sampled.answers
    term_fit = fit_reward(run, answers, settings)
    agreed = agreement(run, pair, term_fit.reward, labels, settings, progress, engine)
    known = known_truth(settings, answers)
    report = RecoveryReport(
        run_id=run.run_id,
        reward=f"{len(term_fit.reward.terms)} terms",
        fit=fit_figures(term_fit, answers, settings),
        accuracy=agreed.rows,
        caveats=tuple(served_caveats(pair.aligned, pair.reference)),
        aligned=pair.aligned.checkpoint,
        reference=pair.reference.checkpoint,
        truth=against_truth(known, term_fit, answers, settings),
    )
    write_recovered(run, answers, term_fit, settings, known)
    return RecoveredRun.written(run, report, sampled.counts)


def fit_reward(
    run: RunFolder,
    answers: Answers,
    settings: RecoverSettings,
    where: PromptSet | None = None,
) -> TermFit:
    """Fit the reward by the settings' method and store it in the run.

    Args:
        run: where the reward is stored.
        answers: what it is fitted to.
        settings: how.
        where: prompts under whose condition words are offered as well.
    """
    conditioned = Conditioned(where.condition, where.mask[answers.prompt]) if where else None
    term_fit = fit_terms(
        answers.texts,
        answers.returns,
        answers.prompt,
        answers.fold(settings.fitting.n_folds),
        settings.fitting,
        settings.seed,
        conditioned,
    )
    term_fit.reward.save(run.path / "reward", "terms", method=settings.method)
    return term_fit


def fit_figures(term_fit: TermFit, answers: Answers, settings: RecoverSettings) -> Fit:
    """How well the reward stands in for the log-ratio, out of fold."""
    return fit(
        term_fit.out_of_fold, answers.returns, answers.aligned, answers.prompt, settings.seed
    )


def against_truth(
    known: KnownTruth | None, term_fit: TermFit, answers: Answers, settings: RecoverSettings
) -> list[TruthAgreement]:
    """The log-ratio and the reward, out of fold, against the truth; empty where it is not known."""
    if known is None:
        return []
    scores: dict[Scorer, NDArray[np.float64]] = {
        "log_ratio": answers.returns,
        "recovered": term_fit.out_of_fold,
    }
    return known.against(scores, answers.prompt, settings.seed)


def write_recovered(
    run: RunFolder,
    answers: Answers,
    term_fit: TermFit,
    settings: RecoverSettings,
    known: KnownTruth | None = None,
) -> None:
    """The two tables with the recovered reward in them, and the true one where it is known."""
    recovered = Recovered(
        term_fit.out_of_fold,
        term_fit.low,
        term_fit.high,
        answers.fold(settings.fitting.n_folds),
        [
            term_fit.reward.paid_for(row, asked)
            for row, asked in zip(answers.visible, answers.asked_of, strict=True)
        ],
    )
    write_tables(run, answers, recovered, None if known is None else known.nats)
