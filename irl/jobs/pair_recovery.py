"""The job `irl recover --method M` for a reward on counts of words, fitted to a pair's answers.

As from samples alone (irl/jobs/samples_recovery.py), with the answers drawn here and, beside them,
their log-ratios: the method `log-ratio` is fitted to these, and every method is held against them.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from irl.config import PairHeadSettings
from irl.engine.engine import HERE, Engine
from irl.engine.shards import Progress, silent
from irl.evaluation.method_words import judged_words
from irl.jobs.agreement import agreement, read_labels
from irl.jobs.clock import Clock
from irl.jobs.known_truth import KnownTruth, Scorer, known_truth, truth_hash
from irl.jobs.learning import Answered, Learnt, identity, learn, load_base
from irl.jobs.recovery import RecoveredRun
from irl.jobs.scoring import (
    input_hashes,
    prompts_of,
    sample_and_score,
    write_tables,
)
from irl.jobs.seeds import over_seeds
from irl.policies.pair import load_pair
from irl.policies.quiet import quiet_libraries
from irl.policies.served.policy import served_caveats
from irl.records import Caveat, RecoveryReport, TruthAgreement, WordsVerdict
from irl.recovery.methods import METHODS
from irl.rewards.heads import linear
from irl.runs import open_run


def recover_from_pair(
    settings: PairHeadSettings,
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
    prompts = prompts_of(settings)
    # Embeddings by the reference, and transformers that start from it, are computed here.
    weights = engine.models_here or (settings.needs_base and settings.base is None)
    pair = load_pair(settings.aligned, settings.reference, settings.loading, weights=weights)
    base = load_base(settings, pair.reference)
    inputs = input_hashes(pair, prompts) | identity(settings, base) | truth_hash(settings)
    run = open_run("recover", settings.model_dump(mode="json"), inputs, out, fresh=fresh)
    if run.finished:
        return RecoveredRun.as_it_is(run)
    sampled = sample_and_score(run, pair, prompts, settings, Clock(), progress, engine)
    answers = sampled.answers
    log_policy = np.array([row.sum() for row in answers.aligned_nats])
    answered = Answered(
        answers.texts,
        answers.prompt,
        answers.aligned,
        answers.returns,
        log_policy,
        [answers.prompts[at] for at in answers.prompt],
    )
    learnt = learn(run, answered, settings, settings.seed, base, engine)
    fold, chosen = answers.fold(settings.fitting.n_folds), learnt.choice.chosen
    words = word_verdict(answered, fold, settings, settings.learning.seeds[chosen])
    labels = read_labels(settings.preferences)
    agreed = agreement(run, pair, learnt.reward, labels, settings, progress, engine)
    recovered = next((row for row in agreed.rows if row.scorer == "recovered"), None)
    labelled = agreed.kept[0] if agreed.kept else []
    recovery, by_seed = over_seeds(settings, learnt, recovered, labelled, settings.seed)
    known = known_truth(settings, answers)
    report = RecoveryReport(
        run_id=run.run_id,
        reward=f"{settings.form} on {learnt.reward.features}",
        fit=learnt.fit,
        accuracy=agreed.rows,
        recovery=recovery,
        words=words,
        caveats=(
            *_caveats(settings, words, sampled.counts["truncated_responses"]),
            *served_caveats(pair.aligned, pair.reference),
        ),
        aligned=pair.aligned.checkpoint,
        reference=pair.reference.checkpoint,
        by_seed=by_seed,
        truth=[] if known is None else _against(known, learnt, answers.returns, settings.seed),
    )
    write_tables(run, answers, None, None if known is None else known.nats)
    return RecoveredRun.written(run, report, sampled.counts)


def _against(
    known: KnownTruth, learnt: Learnt, log_ratio: NDArray[np.float64], seed: int
) -> list[TruthAgreement]:
    """The reward and the log-ratio against the truth, on the prompts that the reward held out."""
    held = learnt.held_out
    there = replace(known, nats=known.nats[held.rows])
    scores: dict[Scorer, NDArray[np.float64]] = {
        "log_ratio": log_ratio[held.rows],
        "recovered": held.scores,
    }
    return there.against(scores, held.prompt, seed)


def word_verdict(
    answered: Answered, fold: NDArray[np.int64], settings: PairHeadSettings, seed: int
) -> WordsVerdict | None:
    """What the audit would say of the strongest words of the method, fitted with one seed."""
    if settings.form != "linear" or settings.needs_base:
        return None
    method = METHODS[settings.method]
    learning = settings.learning.model_copy(update={"seeds": (seed,)})
    evidence, examples = answered.evidence(fold, settings.fitting)
    return judged_words(
        lambda part: method(part, linear, learning).head,
        evidence,
        examples,
        settings.deciding,
        settings.seed,
    )


def _caveats(
    settings: PairHeadSettings, words: WordsVerdict | None, truncated: int
) -> Iterator[Caveat]:
    if words is None:
        yield Caveat(
            code="no-verdict",
            text="Whether this reward is more than any fine-tune would give was not judged: that "
            "takes a linear reward on counts of words and more than a few prompts; `irl audit` "
            "judges the pair.",
        )
    if settings.method == "reference-free":
        yield Caveat(
            code="reference-free",
            text="The reference-free method takes what the reference likes for reward; where the "
            "reference is at hand, log-ratio does not.",
        )
        if truncated:
            yield Caveat(
                code="truncated-answers",
                text=f"{truncated} answers end at max_new_tokens; the value of the state that they "
                "end in is left out of their reward.",
            )
