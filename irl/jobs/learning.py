"""Reward heads inside a job: learn from answers, choose without labels, hold against labels."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from irl.bootstrap import codes
from irl.config import Fitting, HeadSettings
from irl.data import LabelledResponse
from irl.data.rows import SUFFIXES
from irl.engine.engine import HERE, Engine
from irl.errors import InputError
from irl.evaluation.accuracy import Labels
from irl.evaluation.auc import grouped_auc
from irl.evaluation.fit import fit
from irl.evaluation.held_out import Evidence
from irl.jobs.agreement import labels_of, refuse_same_names
from irl.jobs.seed_tasks import fitted
from irl.policies.encoder import Encoder, load_encoder, of_policy
from irl.policies.policy import Policy
from irl.policies.reward_model import Scorer, load_scorer
from irl.policies.served.policy import ServedPolicy
from irl.policies.template import PromptText
from irl.records import Fit
from irl.recovery.catalogue import frequent_words
from irl.recovery.consensus import Consensus, consensus
from irl.recovery.examples import Examples
from irl.recovery.max_entropy import effective_answers
from irl.rewards.embeddings import Embeddings
from irl.rewards.features import WordCounts
from irl.rewards.head_reward import HeadReward, Reader
from irl.rewards.heads import Form, Scores, linear, mlp
from irl.rewards.transformer import TokenIds, transformer
from irl.rewards.words import words
from irl.runs import CACHE, RunFolder, file_sha256

_LOG = logging.getLogger("irl.recovery")


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
    prompts: Sequence[PromptText] | None = None
    "the prompt of each text, for rewards that read it"
    left_out: int = 0
    "samples of prompts that only one policy answered"

    def examples(self, features: Float[Tensor, "row feature"]) -> Examples:
        """The answers as what a reward is fitted to."""
        return Examples(
            features,
            torch.tensor(self.prompt),
            torch.tensor(self.aligned),
            None if self.log_ratio is None else torch.tensor(self.log_ratio).float(),
            None if self.log_policy is None else torch.tensor(self.log_policy).float(),
        )

    def evidence(self, fold: NDArray[np.int64], fitting: Fitting) -> tuple[Evidence, Examples]:
        """The same answers for `irl.evaluation.method_words`; log-ratios must be known."""
        assert self.log_ratio is not None
        evidence = Evidence.of(self.texts, self.log_ratio, self.prompt, fold, fitting)
        catalogue = evidence.catalogue
        counts = WordCounts(catalogue.terms[: catalogue.n_words])(self.texts)
        return evidence, self.examples(counts)


@dataclass(frozen=True)
class HeldOut:
    """What a member gives to the answers that it was not fitted to."""

    rows: NDArray[np.bool_]
    "which of the answers"
    scores: NDArray[np.float64]
    "of these"
    prompt: NDArray[np.int64]
    "their prompts, numbered anew"

    @classmethod
    def of(
        cls, scores: Float[Tensor, " row"], prompts: Bool[Tensor, " prompt"], examples: Examples
    ) -> "HeldOut":
        """Scores of all answers, and the prompts that were held out."""
        rows = prompts[examples.prompt]
        return cls(
            rows.numpy(),
            scores[rows].numpy().astype(np.float64),
            codes(examples.prompt[rows].tolist()),
        )

    def fit(self, examples: Examples, seed: int) -> Fit:
        """The figures of fit there."""
        rows = torch.from_numpy(self.rows)
        aligned = examples.aligned[rows].numpy()
        if examples.targets is None:
            auc = grouped_auc(self.scores, aligned, self.prompt, self.prompt, seed)
            return Fit(membership_auc=auc, r2=None, spearman_with_log_ratio=None)
        log_ratio = examples.targets[rows].numpy().astype(np.float64)
        return fit(self.scores, log_ratio, aligned, self.prompt, seed)


@dataclass(frozen=True)
class Learnt:
    """A reward, the choice among its members, and how it does on prompts that it held out."""

    reward: HeadReward
    choice: Consensus
    fits: list[Fit]
    "of each member"
    held_out: HeldOut
    "of the chosen member"
    status: str

    @property
    def fit(self) -> Fit:
        """Of the chosen member."""
        return self.fits[self.choice.chosen]


def load_base(settings: HeadSettings, reference: Policy | None = None) -> Encoder | Scorer | None:
    """What embeds answers, or what a transformer starts from; None for counts of words.

    Raises:
        InputError: none is named, and no reference is at hand whose weights are.
        PolicyError: it cannot be loaded.
    """
    if not settings.needs_base:
        return None
    if settings.base is None and reference is None:
        raise InputError(
            "Embeddings and transformers need a model to start from, and samples bring none; give "
            "--set base=DIR: a policy such as the reference, or for embeddings a sentence encoder."
        )
    if settings.base is None and isinstance(reference, ServedPolicy):
        raise InputError(
            f"The reference {reference.checkpoint.source} is served, so nothing can be embedded by "
            "its weights or start from them; give --set base=DIR."
        )
    if settings.form == "transformer":
        folder = reference and reference.folder
        # Steps of a fit are lost in the rounding of 16 bits.
        exact = settings.loading.model_copy(update={"dtype": "float32"})
        return load_scorer(settings.base or str(folder), exact)
    if settings.base is None:
        assert reference is not None
        return of_policy(reference, settings.chat)
    return load_encoder(settings.base, settings.loading, settings.chat)


def identity(settings: HeadSettings, base: Encoder | Scorer | None) -> dict[str, str]:
    """What a run depends on beside its samples: labels that are not looked into, and the base."""
    return unread(settings.preferences) | ({"base": base.sha256} if base else {})


def learn(
    run: RunFolder,
    answered: Answered,
    settings: HeadSettings,
    seed: int,
    base: Encoder | Scorer | None,
    engine: Engine = HERE,
) -> Learnt:
    """Fit all seeds, choose one without labels, and store the reward.

    Raises:
        InputError: no word is frequent enough, there are too few answers, or the base cannot read
            them.
    """
    _LOG.setLevel(logging.INFO)
    features, form = reader_and_form(answered, settings, base)
    examples = answered.examples(features(answered.texts, answered.prompts))
    fits = fitted(examples, form, settings, base, engine)
    with torch.no_grad():
        scores = fits.head(examples.features)
    choice = choose(run, scores, examples)
    reward = HeadReward(features, fits.head, choice.chosen)
    reward.save(run.path / "reward", "head", method=settings.method, seeds=settings.learning.seeds)
    pairs = zip(scores, fits.held_out, strict=True)
    held_out = [HeldOut.of(one, prompts, examples) for one, prompts in pairs]
    figures = [one.fit(examples, seed) for one in held_out]
    status = _status(settings, choice, scores, examples)
    return Learnt(reward, choice, figures, held_out[choice.chosen], status)


def reader_and_form(
    answered: Answered, settings: HeadSettings, base: Encoder | Scorer | None
) -> tuple[Reader, Form]:
    """What the reward reads, and what it is."""
    plain = linear if settings.form == "linear" else mlp()
    match base:
        case Scorer():
            return TokenIds(base, settings.chat), transformer(base)
        case Encoder():
            embeddings = Embeddings(base, cache=CACHE / "embeddings")
            return embeddings.standardised(answered.texts, answered.prompts), plain
        case None:
            return frequent_words(answered.texts, settings.fitting), plain


def choose(run: RunFolder, scores: Scores, examples: Examples) -> Consensus:
    """Choose a member without labels, and write the choice down before any is read."""
    choice = consensus(scores, examples.prompt)
    run.log(
        "chosen",
        member=choice.chosen,
        agreement=[None if value != value else value for value in choice.agreement.tolist()],
        constant=choice.constant.tolist(),
    )
    return choice


def labels_in(source: str, rows: Sequence[LabelledResponse]) -> Labels:
    """Labels of responses that are not tokenised: their length is counted in words."""
    return labels_of(Path(source).name, rows, [len(words(row.response)) for row in rows])


def unread(sources: Sequence[str]) -> dict[str, str]:
    """Hashes of files of labels that are not looked into yet; a hub id stands for itself.

    Raises:
        InputError: a file is not there, or two have the same name.
    """
    refuse_same_names(sources)
    found = {}
    for source in sources:
        file = Path(source)
        if not file.is_file() and file.suffix.lower() in SUFFIXES:
            raise InputError(f"There is no file {file} of preferences.")
        found[source] = file_sha256(file) if file.is_file() else source
    return found


def _status(settings: HeadSettings, choice: Consensus, scores: Scores, examples: Examples) -> str:
    constant = int(choice.constant.sum())
    said = [f"{constant} fits are constant" if constant else "fitted"]
    if settings.method == "max-entropy":
        carrying, answers = effective_answers(scores, examples)
        said.append(
            f"of {answers:.0f} answers of the reference to a prompt, {carrying:.1f} would carry "
            "its importance weights (effective sample size)"
        )
    return "; ".join(said)
