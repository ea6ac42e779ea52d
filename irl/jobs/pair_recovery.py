"""The job `irl recover --method M` for a reward on counts of words, fitted to a pair's answers.

As from samples alone (irl/jobs/samples_recovery.py), with the answers drawn here and, beside them,
their log-ratios: the method `log-ratio` is fitted to these, and every method is held against them.
"""

from pathlib import Path

import numpy as np

from irl.config import PairHeadSettings
from irl.engine.shards import Progress, silent
from irl.jobs.agreement import agreement, read_labels
from irl.jobs.clock import Clock
from irl.jobs.learning import Answered, held_against, learn, over_seeds, unread
from irl.jobs.recovery import RecoveredRun
from irl.jobs.scoring import (
    input_hashes,
    prompts_of,
    sample_and_score,
    say_finished,
    write_tables,
)
from irl.policies.pair import load_pair
from irl.policies.quiet import quiet_libraries
from irl.records import RecoveryReport
from irl.runs import open_run, read_record


def recover_from_pair(
    settings: PairHeadSettings,
    out: Path | None = None,
    *,
    fresh: bool = False,
    progress: Progress = silent,
) -> RecoveredRun:
    """Recover a reward into a run folder; a finished run is returned as it is.

    Raises:
        InputError: the prompts, preferences or settings cannot be used.
        PolicyError: the pair cannot be scored.
        RunError: the run folder cannot be written or holds another run.
    """
    quiet_libraries()
    prompts = prompts_of(settings)
    pair = load_pair(settings.aligned, settings.reference, settings.loading)
    inputs = input_hashes(pair, prompts) | unread(settings.preferences)
    run = open_run("recover", settings.model_dump(mode="json"), inputs, out, fresh=fresh)
    if run.finished:
        say_finished(run)
        return RecoveredRun(run, read_record(run.path / "recovery.json", RecoveryReport))
    sampled = sample_and_score(run, pair, prompts, settings, Clock(), progress)
    answers = sampled.answers
    log_policy = np.array([row.sum() for row in answers.aligned_nats])
    answered = Answered(answers.texts, answers.prompt, answers.aligned, answers.returns, log_policy)
    learnt = learn(run, answered, settings, settings.seed)
    labels = read_labels(settings.preferences)
    agreed = agreement(run, pair, learnt.reward, labels, settings, progress)
    _, spreads = held_against(learnt.reward, labels, settings.seed)
    recovered = [row for row in agreed.rows if row.scorer == "recovered"]
    report = RecoveryReport(
        run_id=run.run_id,
        n_terms=len(learnt.reward.features.terms),
        fit=learnt.fit,
        accuracy=agreed.rows,
        recovery=over_seeds(settings, learnt, recovered, spreads),
    )
    write_tables(run, answers, None)
    run.write_text("recovery.json", report.model_dump_json(indent=1) + "\n")
    run.finish(sampled.counts)
    return RecoveredRun(run, report)
