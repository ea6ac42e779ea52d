"""Reward heads inside a job: learn from answers, choose without labels, hold against labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from irl.bootstrap import codes
from irl.config import HeadSettings
from irl.data import LabelledResponse, Table
from irl.errors import InputError
from irl.evaluation.accuracy import accuracy
from irl.evaluation.auc import grouped_auc
from irl.evaluation.fit import fit
from irl.evaluation.spread import Spread, spread
from irl.jobs.agreement import labels_of
from irl.records import Accuracy, Fit, Recovery
from irl.recovery.catalogue import candidates
from irl.recovery.consensus import Consensus, consensus
from irl.recovery.examples import Examples
from irl.recovery.fit import Fitted
from irl.recovery.methods import METHODS
from irl.rewards.features import WordCounts
from irl.rewards.head_reward import HeadReward
from irl.rewards.heads import linear, mlp
from irl.rewards.words import words
from irl.runs import RunFolder, file_sha256


@dataclass(frozen=True)
class Answered:
    """Answers of both policies to the same prompts."""

    texts: list[str]
    prompt: NDArray[np.int64]
    aligned: NDArray[np.bool_]
    log_ratio: NDArray[np.float64] | None = None
    "summed, nats, where both policies are at hand"
    log_policy: NDArray[np.float64] | None = None
    "of the answers under the aligned policy, nats"
    left_out: int = 0
    "samples of prompts that only one policy answered"


@dataclass(frozen=True)
class Learnt:
    """A reward, the choice among its members, and how it does on prompts that it held out."""

    reward: HeadReward
    choice: Consensus
    fit: Fit


def learn(run: RunFolder, answered: Answered, settings: HeadSettings, seed: int) -> Learnt:
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
        torch.tensor(answered.prompt),
        torch.tensor(answered.aligned),
        None if answered.log_ratio is None else torch.tensor(answered.log_ratio).float(),
        None if answered.log_policy is None else torch.tensor(answered.log_policy).float(),
    )
    form = linear if settings.form == "linear" else mlp()
    fitted = METHODS[settings.method](examples, form, settings.learning)
    choice = choose(run, fitted, examples)
    reward = HeadReward(features, fitted.head, choice.chosen)
    reward.save(run.path / "reward", "head", method=settings.method, seeds=settings.learning.seeds)
    return Learnt(reward, choice, held_out_fit(reward, fitted, examples, seed))


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


def held_out_fit(reward: HeadReward, fitted: Fitted, examples: Examples, seed: int) -> Fit:
    """The figures of fit on the prompts that the chosen member held out."""
    rows = fitted.held_out[reward.chosen][examples.prompt]
    with torch.no_grad():
        scores = reward.head(examples.features)[reward.chosen][rows].numpy().astype(np.float64)
    prompt, aligned = codes(examples.prompt[rows].tolist()), examples.aligned[rows].numpy()
    if examples.targets is None:
        auc = grouped_auc(scores, aligned, prompt, prompt, seed)
        return Fit(membership_auc=auc, r2=None, spearman_with_log_ratio=None)
    log_ratio = examples.targets[rows].numpy().astype(np.float64)
    return fit(scores, log_ratio, aligned, prompt, seed)


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


def over_seeds(
    settings: HeadSettings, learnt: Learnt, rows: Sequence[Accuracy], spreads: Sequence[Spread]
) -> Recovery:
    """What the seeds say together; the first source of labels speaks for accuracy."""
    constant = int(learnt.choice.constant.sum())
    about = spreads[0] if spreads else None
    return Recovery(
        method=settings.method,
        seeds=len(settings.learning.seeds),
        heldout_accuracy=rows[0].preference if rows else None,
        auc=learnt.fit.membership_auc,
        spearman_with_log_ratio=learnt.fit.spearman_with_log_ratio,
        mean=about.mean if about else None,
        sd=about.sd if about else None,
        min=about.min if about else None,
        max=about.max if about else None,
        sign_flip_share=about.sign_flip_share if about else None,
        status=f"{constant} fits are constant" if constant else "fitted",
    )


def unread(sources: Sequence[str]) -> dict[str, str]:
    """Hashes of files of labels that are not looked into yet; a hub id stands for itself."""
    return {
        source: file_sha256(Path(source)) if Path(source).is_file() else source
        for source in sources
    }
