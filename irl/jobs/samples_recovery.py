"""The job `irl recover --aligned-samples A --reference-samples B`: a reward from samples alone.

Nothing but answers of both policies to the same prompts is needed. What is lost against two
checkpoints: the log-ratio, and with it every figure that holds the reward against it; answers are
noise where the log-ratio is exact, so it takes more of them.

1. Pair up the prompts that both policies answered; count words of the answers.
2. Fit one reward for each seed; choose one by consensus, and write the choice down.
3. Only then look at labels, if there are any: every seed is held against them, never the best.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from irl.bootstrap import codes
from irl.config import SamplesSettings
from irl.data import LabelledResponse, SampleRow, Table, read_samples
from irl.engine.engine import HERE, Engine
from irl.errors import InputError
from irl.evaluation.accuracy import accuracy
from irl.jobs.agreement import read_labels
from irl.jobs.encoding import log_refused
from irl.jobs.learning import (
    Answered,
    identity,
    labels_in,
    learn,
    load_base,
)
from irl.jobs.recovery import RecoveredRun
from irl.jobs.seeds import over_seeds
from irl.records import Accuracy, Caveat, RecoveryReport
from irl.recovery.fit import MIN_PROMPTS
from irl.rewards.head_reward import HeadReward
from irl.runs import open_run

BLOCK = 8
"Answers of either side that a group gets, where there are too few prompts to hold some out"


def recover_from_samples(
    settings: SamplesSettings,
    out: Path | None = None,
    *,
    fresh: bool = False,
    engine: Engine = HERE,
) -> RecoveredRun:
    """Recover a reward into a run folder; a finished run is returned as it is.

    Raises:
        InputError: the samples, preferences or settings cannot be used.
        PolicyError: the base of embeddings or of a transformer cannot be loaded.
        RunError: the run folder cannot be written or holds another run.
    """
    sides = [read_samples(settings.aligned_samples), read_samples(settings.reference_samples)]
    base = load_base(settings)
    inputs = {
        "aligned_samples": sides[0].sha256,
        "reference_samples": sides[1].sha256,
        **identity(settings, base),
    }
    run = open_run("recover", settings.model_dump(mode="json"), inputs, out, fresh=fresh)
    if run.finished:
        return RecoveredRun.as_it_is(run)
    answered = answers_to_common_prompts(sides[0].rows, sides[1].rows)
    learnt = learn(run, answered, settings, settings.seed, base, engine)
    labels = read_labels(settings.preferences)
    rows = [held_against(learnt.reward, table, settings.seed) for table in labels]
    labelled, first = (labels[0].rows, rows[0]) if labels else ([], None)
    recovery, by_seed = over_seeds(settings, learnt, first, labelled, settings.seed)
    report = RecoveryReport(
        run_id=run.run_id,
        reward=f"{settings.form} on {learnt.reward.features}",
        fit=learnt.fit,
        accuracy=rows,
        recovery=recovery,
        by_seed=by_seed,
        truth=[],
        caveats=(_lost(answered),),
    )
    refused = [(one.source, one.refused) for one in sides]
    refused += [(one.source, one.refused) for one in labels]
    for source, lines in refused:
        log_refused(run, source, lines)
    counts = {
        "prompts": int(answered.prompt.max()) + 1,
        "responses": len(answered.texts),
        "left_out_responses": answered.left_out,
        "refused_rows": sum(len(lines) for _, lines in refused),
    }
    return RecoveredRun.written(run, report, counts)


def held_against(reward: HeadReward, table: Table[LabelledResponse], seed: int) -> Accuracy:
    """Agreement of the chosen member with labels."""
    texts, prompts = [row.response for row in table.rows], [row.prompt for row in table.rows]
    scores = reward(texts, prompts).numpy().astype(np.float64)
    return accuracy("recovered", scores, labels_in(table.source, table.rows), seed)


def _lost(answered: Answered) -> Caveat:
    sides = int(answered.aligned.sum()), int((~answered.aligned).sum())
    return Caveat(
        code="samples-only",
        text=f"Recovered from {sides[0]} and {sides[1]} answers alone: a preference between two "
        "answers is drawn where two checkpoints would tell it exactly, so the reward is noisier "
        "(docs/results/methods.json measures by how much), and there is no log-ratio to hold it "
        "against: r2 and spearman_with_log_ratio are null, and no verdict is given on its words.",
    )


def answers_to_common_prompts(
    aligned: Sequence[SampleRow], reference: Sequence[SampleRow]
) -> Answered:
    """Both policies' answers to the prompts that both were given.

    Where these are too few to hold some out, the answers to each are dealt into groups, so that
    other answers, not other prompts, are held out.

    Raises:
        InputError: they have no prompt in common.
    """
    common = {row.prompt_id for row in aligned} & {row.prompt_id for row in reference}
    if not common:
        raise InputError(
            "The two files of samples have no prompt in common; a reward is recovered from answers "
            "of both policies to the same prompts."
        )
    rows = [(row, side) for side, given in ((True, aligned), (False, reference)) for row in given]
    kept = [(row, side) for row, side in rows if row.prompt_id in common]
    prompt = codes([row.prompt_id for row, _ in kept])
    sides = np.array([side for _, side in kept], dtype=bool)
    if len(common) < MIN_PROMPTS:
        prompt = _dealt(prompt, sides)
    texts = [row.response for row, _ in kept]
    prompts = [row.prompt for row, _ in kept]
    return Answered(texts, prompt, sides, prompts=prompts, left_out=len(rows) - len(kept))


def _dealt(prompt: NDArray[np.int64], sides: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Each prompt's answers in groups that have about BLOCK of either side."""
    group = np.zeros(len(prompt), dtype=np.int64)
    first = 0
    for number in range(int(prompt.max()) + 1):
        here = [np.flatnonzero((prompt == number) & (sides == side)) for side in (True, False)]
        n = max(min(map(len, here)) // BLOCK, 1)
        for at in here:
            group[at] = first + np.arange(len(at)) % n
        first += n
    return group
