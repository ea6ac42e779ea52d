"""The job `irl recover --aligned-samples A --reference-samples B`: a reward from samples alone.

Nothing but answers of both policies to the same prompts is needed. What is lost against two
checkpoints: the log-ratio, and with it every figure that holds the reward against it; answers are
noise where the log-ratio is exact, so it takes more of them.

1. Pair up the prompts that both policies answered; count words of the answers.
2. Fit one reward for each seed; choose one by consensus, and write the choice down.
3. Only then look at labels, if there are any: every seed is held against them, never the best.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from irl.bootstrap import codes
from irl.config import SamplesSettings
from irl.data import LabelledResponse, SampleRow, Table, read_samples
from irl.errors import InputError
from irl.evaluation.accuracy import accuracy
from irl.evaluation.auc import grouped_auc
from irl.evaluation.spread import Spread, spread
from irl.jobs.agreement import labels_of, read_labels
from irl.jobs.encoding import log_refused
from irl.jobs.recovery import RecoveredRun
from irl.jobs.scoring import say_finished
from irl.records import Accuracy, Estimate, Fit, Recovery, RecoveryReport
from irl.recovery.catalogue import candidates
from irl.recovery.consensus import Consensus, consensus
from irl.recovery.examples import Examples
from irl.recovery.fit import MIN_PROMPTS, Fitted
from irl.recovery.methods import METHODS
from irl.rewards.features import WordCounts
from irl.rewards.head_reward import HeadReward
from irl.rewards.heads import linear, mlp
from irl.rewards.words import words
from irl.runs import RunFolder, file_sha256, open_run, read_record

BLOCK = 8
"Answers of either side that a group gets, where there are too few prompts to hold some out"


@dataclass(frozen=True)
class Answered:
    """Samples of both policies to the prompts that both answered."""

    texts: list[str]
    prompt: NDArray[np.int64]
    aligned: NDArray[np.bool_]
    left_out: int
    "samples of prompts that only one policy answered"


def recover_from_samples(
    settings: SamplesSettings, out: Path | None = None, *, fresh: bool = False
) -> RecoveredRun:
    """Recover a reward into a run folder; a finished run is returned as it is.

    Raises:
        InputError: the samples, preferences or settings cannot be used.
        RunError: the run folder cannot be written or holds another run.
    """
    sides = [read_samples(settings.aligned_samples), read_samples(settings.reference_samples)]
    inputs = {
        "aligned_samples": sides[0].sha256,
        "reference_samples": sides[1].sha256,
        **{source: _unread(source) for source in settings.preferences},
    }
    run = open_run("recover", settings.model_dump(mode="json"), inputs, out, fresh=fresh)
    if run.finished:
        say_finished(run)
        return RecoveredRun(run, read_record(run.path / "recovery.json", RecoveryReport))
    answered = answers_to_common_prompts(sides[0].rows, sides[1].rows)
    learnt = learn(run, answered, settings)
    labels = read_labels(settings.preferences)
    report = _report(run, settings, learnt, labels)
    run.write_text("recovery.json", report.model_dump_json(indent=1) + "\n")
    refused = [(one.source, one.refused) for one in sides]
    refused += [(one.source, one.refused) for one in labels]
    for source, rows in refused:
        log_refused(run, source, rows)
    counts = {
        "prompts": int(answered.prompt.max()) + 1,
        "responses": len(answered.texts),
        "left_out_responses": answered.left_out,
        "refused_rows": sum(len(rows) for _, rows in refused),
    }
    run.finish(counts)
    return RecoveredRun(run, report)


@dataclass(frozen=True)
class Learnt:
    """A reward, the choice among its members, and how it does on answers that it held out."""

    reward: HeadReward
    choice: Consensus
    membership_auc: Estimate | None


def learn(run: RunFolder, answered: Answered, settings: SamplesSettings) -> Learnt:
    """Fit all seeds, choose one without labels, and store the reward.

    Raises:
        InputError: no word is frequent enough, or there are too few answers.
    """
    features = WordCounts(tuple(candidates(answered.texts, 1, settings.fitting)))
    if not features.terms:
        raise InputError(
            f"No word stands in {settings.fitting.min_responses} of the {len(answered.texts)} "
            "samples; give more samples, or lower --set fitting.min_responses."
        )
    examples = Examples(
        features(answered.texts),
        torch.from_numpy(answered.prompt),
        torch.from_numpy(answered.aligned),
    )
    form = linear if settings.form == "linear" else mlp()
    fitted = METHODS[settings.method](examples, form, settings.learning)
    choice = choose(run, fitted, examples)
    reward = HeadReward(features, fitted.head, choice.chosen)
    reward.save(run.path / "reward", "head", method=settings.method, seeds=settings.learning.seeds)
    return Learnt(reward, choice, membership_auc(reward, fitted, examples, settings.seed))


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
    return Answered(texts, prompt, sides, len(rows) - len(kept))


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


def choose(run: RunFolder, fitted: Fitted, examples: Examples) -> Consensus:
    """Choose a member without labels, and write the choice down before any is read."""
    with torch.no_grad():
        choice = consensus(fitted.head(examples.features), examples.prompt)
    run.log(
        "chosen",
        member=choice.chosen,
        agreement=[None if value != value else value for value in choice.agreement.tolist()],
        constant=choice.constant.tolist(),
    )
    return choice


def membership_auc(
    reward: HeadReward, fitted: Fitted, examples: Examples, seed: int
) -> Estimate | None:
    """P(aligned answer above reference answer) on the prompts that the chosen member held out."""
    rows = fitted.held_out[reward.chosen][examples.prompt]
    with torch.no_grad():
        scores = reward.head(examples.features)[reward.chosen][rows].numpy().astype(np.float64)
    prompt = codes(examples.prompt[rows].tolist())
    return grouped_auc(scores, examples.aligned[rows].numpy(), prompt, prompt, seed)


def held_against(
    reward: HeadReward, tables: Sequence[Table[LabelledResponse]], seed: int
) -> tuple[list[Accuracy], list[Spread]]:
    """Agreement of the chosen member with labels, and the pair accuracy of all members."""
    rows, spreads = [], []
    for table in tables:
        texts = [row.response for row in table.rows]
        lengths = [len(words(text)) for text in texts]
        labels = labels_of(Path(table.source).name, table.rows, lengths)
        members = reward.members(texts).numpy().astype(np.float64)
        found = [accuracy("recovered", scores, labels, seed) for scores in members]
        rows.append(found[reward.chosen])
        pairs = [row.preference for row in found]
        if all(pairs):
            spreads.append(spread([pair.value for pair in pairs if pair]))
    return rows, spreads


def _report(
    run: RunFolder,
    settings: SamplesSettings,
    learnt: Learnt,
    labels: Sequence[Table[LabelledResponse]],
) -> RecoveryReport:
    """What the seeds say together; the first source of labels speaks for accuracy."""
    rows, spreads = held_against(learnt.reward, labels, settings.seed)
    constant = int(learnt.choice.constant.sum())
    about = spreads[0] if spreads else None
    recovery = Recovery(
        method=settings.method,
        seeds=len(settings.learning.seeds),
        heldout_accuracy=rows[0].preference if rows else None,
        auc=learnt.membership_auc,
        spearman_with_log_ratio=None,
        mean=about.mean if about else None,
        sd=about.sd if about else None,
        min=about.min if about else None,
        max=about.max if about else None,
        sign_flip_share=about.sign_flip_share if about else None,
        status=f"{constant} fits are constant" if constant else "fitted",
    )
    return RecoveryReport(
        run_id=run.run_id,
        n_terms=len(learnt.reward.features.terms),
        fit=Fit(membership_auc=learnt.membership_auc, r2=None, spearman_with_log_ratio=None),
        accuracy=rows,
        recovery=recovery,
    )


def _unread(source: str) -> str:
    """The hash of a file of labels that is not looked into yet; a hub id stands for itself."""
    file = Path(source)
    return file_sha256(file) if file.is_file() else source
