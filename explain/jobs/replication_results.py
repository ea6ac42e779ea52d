"""Rows that repeat the headline experiment of arXiv 2410.12491 on pairs of our own.

A policy is aligned against a toxicity classifier; its reward is recovered from answers of both
policies, which are plain text without a prompt, and held against human labels of other texts. Every
method fits one reward for each seed, and the mean over the seeds is reported, never the best; the
seed that agrees most with the others stands beside it. The same against the base model, before its
supervised fine-tuning, shows what a wrong reference does.

`log-ratio, at equal length` is the direct one less its least-squares line on the number of words of
the texts, without a label: alignment drifts a little with every token, whatever it says. It was
added after the other rows had been seen, so it is no finding of the table but a question to it.

The recovered rewards are sums of word weights. `log-ratio, direct` fits nothing: it is the summed
log-ratio of the labelled text itself. `true objective` is the classifier that was paid.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, TypeAdapter
from scipy.stats import rankdata
from sklearn.metrics import f1_score, roc_auc_score

from explain.jobs.label_sets import Labelled, LabelSet, read_label_set
from explain.jobs.replication_limits import limit_rows
from explain.jobs.result_rows import Making, Measured, built_pair, counted, mean_of_seeds
from irl.bootstrap import from_sums, ratio
from irl.config import Fitting, Learning, Sampling
from irl.engine.local import Workshop, sample_pair, score_pair, sums
from irl.engine.scoring import score_policy
from irl.errors import InputError
from irl.evaluation.auc import grouped_auc
from irl.jobs.learning import Answered
from irl.organisms.real_detox import true_reward
from irl.policies.pair import PolicyPair, load_pair
from irl.policies.pieces import response_text
from irl.policies.template import encode_prompt, encode_response
from irl.records import Estimate, ResultRow
from irl.recovery.catalogue import frequent_words
from irl.recovery.consensus import consensus
from irl.recovery.methods import METHODS, ROBUST
from irl.rewards.heads import linear
from irl.rewards.terms import TermReward, words
from irl.runs import write_text
from irl.tensors import TokenSequence

Array = NDArray[np.float64]
DIRECT, TRUE = "log-ratio, direct", "true objective"
LEVEL = "log-ratio, at equal length"
_ROWS = TypeAdapter(list[ResultRow])


class ReplicationRecipe(BaseModel):
    """Which pairs, how many answers, and which labels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["replication"]
    pairs: dict[str, str]
    "case to folder"
    groups: int
    "of answers that are compared with each other, in the place of prompts"
    per_group: int
    "answers of either policy in a group"
    seed: int
    "of the sampling"
    fitting: dict[str, Any] = {}
    learning: dict[str, Any] = {}
    ridge: tuple[float, ...] = (1.0,)
    "penalties of the exact fits that tell what limits the share"
    labels: list[LabelSet]
    headline: str
    "the label set of the share of the teacher"
    published: dict[str, float] = {}
    "figures of the publication, on other texts"


@dataclass(frozen=True)
class Scored:
    """One label set with what the true objective and the log-ratio say of it."""

    labelled: Labelled
    true: Array
    direct: Array


def replication_rows(recipe: ReplicationRecipe, making: Making) -> list[ResultRow]:
    """Every pair against every reference.

    Raises:
        InputError: the text folder is not given, or a pair is not built.
    """
    if making.text is None:
        raise InputError("The labelled texts lie outside the repository; give --text DIR.")
    sets = [read_label_set(about, making.text) for about in recipe.labels]
    rows: list[ResultRow] = []
    for case, folder in recipe.pairs.items():
        pair = built_pair(folder)
        for side in ("reference", "base"):
            if (pair / side / "config.json").is_file():
                making.say(f"{case} against its {side}")
                rows += _kept(Attempt(case, pair, side, sets), recipe, making)
    published = Measured("arXiv 2410.12491, on other texts", [])
    for metric, value in recipe.published.items():
        estimate = Estimate(value=value, low=value, high=value, n=1)
        rows.append(published.row("published", metric, "share", estimate))
    return rows


@dataclass(frozen=True)
class Attempt:
    """One pair, recovered against one of its earlier checkpoints."""

    case: str
    folder: Path
    side: str
    sets: Sequence[Labelled]

    def measured(self, labelled: Labelled, seeds: list[int]) -> Measured:
        """What its rows on one label set share."""
        return Measured(f"{self.case} against its {self.side}: {labelled.case}", seeds)


def _kept(attempt: Attempt, recipe: ReplicationRecipe, making: Making) -> list[ResultRow]:
    """The rows of one attempt, made or read again, part by part."""
    pair = load_pair(str(attempt.folder / "aligned"), str(attempt.folder / attempt.side))
    hashes = [policy.checkpoint.sha256 for policy in (pair.aligned, pair.reference)]
    labels = [[one.texts, one.grade.tolist(), one.pair.tolist()] for one in attempt.sets]
    about = recipe.model_dump(mode="json", exclude={"pairs", "published"})
    asked = json.dumps([attempt.case, about, hashes, labels])
    key = hashlib.sha256(asked.encode()).hexdigest()[:10]
    folder = making.folder / f"{attempt.folder.name}-{attempt.side}-{key}"
    sampling = Sampling(responses_per_prompt=recipe.per_group)
    work = Workshop(folder, sampling, recipe.seed, making.progress)
    parts = {"": _method_rows, "-length": _length_rows}
    if attempt.side == "reference":
        parts["-limits"] = _limits
    rows: list[ResultRow] = []
    for name, part in parts.items():
        file = folder.with_name(f"{folder.name}{name}.json")
        if not file.is_file():
            found = list(part(attempt, pair, recipe, work))
            write_text(file, _ROWS.dump_json(found, indent=1).decode() + "\n")
        rows += _ROWS.validate_json(file.read_bytes())
    return rows


def _limits(
    attempt: Attempt, pair: PolicyPair, recipe: ReplicationRecipe, work: Workshop
) -> Iterator[ResultRow]:
    """What limits the share of the teacher on the headline's label set."""
    (labelled,) = (one for one in attempt.sets if one.case == recipe.headline)
    scored = _scored(labelled, pair, attempt.folder)
    answered = _answered(pair, recipe, work)
    yield from limit_rows(
        attempt.measured(labelled, list(Learning(**recipe.learning).seeds)),
        answered,
        true_reward(attempt.folder)(answered.texts).double().numpy(),
        TermReward.load(attempt.folder, "classifier"),
        scored.labelled.texts,
        lambda scores: _teacher_share(scores, scored),
        recipe.ridge,
    )


def _length_rows(
    attempt: Attempt, pair: PolicyPair, recipe: ReplicationRecipe, _: Workshop
) -> Iterator[ResultRow]:
    for labelled in attempt.sets:
        one = _scored(labelled, pair, attempt.folder)
        level = _at_equal_length(one.direct, one.labelled.texts)
        of = attempt.measured(one.labelled, [])
        yield from _single_rows(of, LEVEL, level, one, recipe.headline)


def _at_equal_length(scores: Array, texts: Sequence[str]) -> Array:
    length = np.array([len(words(text)) for text in texts], dtype=np.float64)
    length -= length.mean()
    squares = float(length @ length)
    slope = float(length @ scores) / squares if squares else 0.0
    return np.asarray(scores - slope * length)


def _method_rows(
    attempt: Attempt, pair: PolicyPair, recipe: ReplicationRecipe, work: Workshop
) -> Iterator[ResultRow]:
    scored = [_scored(labelled, pair, attempt.folder) for labelled in attempt.sets]
    for one in scored:
        of = attempt.measured(one.labelled, [])
        for name, scores in ((TRUE, one.true), (DIRECT, one.direct)):
            yield from _single_rows(of, name, scores, one, recipe.headline)
    answered = _answered(pair, recipe, work)
    seeds = list(Learning(**recipe.learning).seeds)
    for name, members in _fits(answered, [one.labelled.texts for one in scored], recipe):
        for one, (scores, chosen) in zip(scored, members, strict=True):
            of = attempt.measured(one.labelled, seeds)
            yield from _seed_rows(of, name, scores, one, recipe.headline)
            auc = _auc(scores[chosen], one.labelled)
            yield of.row(f"{name}, chosen by consensus", "AUC", "share", auc)


def _scored(labelled: Labelled, pair: PolicyPair, folder: Path) -> Scored:
    """Score a set; texts that are too long for the policies are left out for every scorer."""
    sequences = [encode_response(pair.tokenizer, "", s, pair.eos_ids) for s in labelled.texts]
    kept = np.array([len(sequence) <= pair.context_tokens for sequence in sequences])
    kept &= ~np.isin(labelled.pair, labelled.pair[~kept])
    short = [sequence for sequence, keep in zip(sequences, kept, strict=True) if keep]
    some = labelled.some(kept)
    true = true_reward(folder)(some.texts).double().numpy()
    return Scored(some, true, _log_ratios(pair, short))


def _log_ratios(pair: PolicyPair, sequences: Sequence[TokenSequence]) -> Array:
    sides = [score_policy(p, sequences, Sampling()) for p in (pair.aligned, pair.reference)]
    return np.array([float((a - r).double().sum()) for a, r in zip(*sides, strict=True)])


def _answered(pair: PolicyPair, recipe: ReplicationRecipe, work: Workshop) -> Answered:
    """Answers of both policies without a prompt; drawn once, then read again."""
    empty = encode_prompt(pair.tokenizer, "")
    drawn = sample_pair(pair, [empty] * recipe.groups, work).sort_by([("prompt", "ascending")])
    ids = [tuple(row) for row in drawn["token_ids"].to_pylist()]
    nats = score_pair(pair, [TokenSequence(empty, row) for row in ids], work)
    ours = sums(nats, "aligned_nats")
    return Answered(
        [response_text(pair.tokenizer, row) for row in ids],
        drawn["prompt"].to_numpy(),
        np.array([source == "aligned" for source in drawn["source"].to_pylist()]),
        ours - sums(nats, "reference_nats"),
        ours,
    )


def _fits(
    answered: Answered, texts: Sequence[list[str]], recipe: ReplicationRecipe
) -> Iterator[tuple[str, list[tuple[Array, int]]]]:
    """Of each method, the scores [seed, text] of every set and the seed chosen by consensus."""
    features = frequent_words(answered.texts, Fitting(**recipe.fitting))
    examples = answered.examples(features(answered.texts))
    wanted = [features(some) for some in texts]
    for name, method in METHODS.items():
        if name in ROBUST:
            continue
        fitted = method(examples, linear, Learning(**recipe.learning))
        with torch.no_grad():
            chosen = consensus(fitted.head(examples.features), examples.prompt).chosen
            scores = [fitted.head(one).numpy().astype(np.float64) for one in wanted]
        yield name, [(one, chosen) for one in scores]


def _single_rows(
    of: Measured, name: str, scores: Array, given: Scored, headline: str
) -> Iterator[ResultRow]:
    """Of a scorer without seeds: intervals over texts."""
    labelled = given.labelled
    auc = _auc(scores, labelled)
    yield of.row(name, "AUC", "share", auc)
    if (found := _pair_accuracy(scores, labelled)) is not None:
        yield of.row(name, "pair accuracy", "share", found)
    for metric, value in _figures(scores, given).items():
        if metric != "AUC":
            yield of.row(name, metric, "", counted(value, len(scores)))
    if labelled.case == headline and name != TRUE:
        value = _teacher_share(scores, given)
        yield of.row(name, "share of the teacher", "", counted(value, len(scores)))


def _seed_rows(
    of: Measured, name: str, scores: Array, given: Scored, headline: str
) -> Iterator[ResultRow]:
    """Of a method with seeds: their mean, with Student's interval, and their spread."""
    each = [_figures(one, given) for one in scores]
    for metric in each[0]:
        values = np.array([figures[metric] for figures in each])
        yield of.row(name, f"{metric}, mean of seeds", "", mean_of_seeds(values))
    aucs = np.array([figures["AUC"] for figures in each])
    yield of.row(name, "AUC, worst seed", "share", counted(float(aucs.min()), len(aucs)))
    yield of.row(name, "AUC, sd of seeds", "", counted(float(aucs.std(ddof=1)), len(aucs)))
    pairs = [_pair_accuracy(one, given.labelled) for one in scores]
    if all(one is not None for one in pairs):
        shares = np.array([one.value for one in pairs if one is not None])
        yield of.row(name, "pair accuracy, mean of seeds", "share", mean_of_seeds(shares))
    if given.labelled.case == headline:
        shares = np.array([_teacher_share(one, given) for one in scores])
        yield of.row(name, "share of the teacher, mean of seeds", "", mean_of_seeds(shares))


def _figures(scores: Array, given: Scored) -> Mapping[str, float]:
    labelled = given.labelled
    rude = ~labelled.civil
    return {
        "AUC": float(roc_auc_score(labelled.civil, scores)),
        "F1 of rude texts at the unlabelled median": float(
            f1_score(rude, scores < np.median(scores))
        ),
        "Pearson with the true reward": _correlation(scores, given.true),
        "Spearman with the true reward": _correlation(rankdata(scores), rankdata(given.true)),
        "Pearson with human labels": _correlation(scores, labelled.grade),
        "Spearman with human labels": _correlation(rankdata(scores), rankdata(labelled.grade)),
    }


def _correlation(one: Array, other: Array) -> float:
    """0 where one of them is constant: it knows nothing."""
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def _teacher_share(scores: Array, given: Scored) -> float:
    """(AUC - .5) / (AUC of the true objective - .5)."""
    civil = given.labelled.civil
    ours, theirs = (float(roc_auc_score(civil, one)) for one in (scores, given.true))
    return (ours - 0.5) / (theirs - 0.5)


def _auc(scores: Array, labelled: Labelled) -> Estimate | None:
    everywhere = np.zeros(len(scores), dtype=np.int64)
    cluster = np.unique(labelled.pair, return_inverse=True)[1]
    return grouped_auc(scores, labelled.civil, everywhere, cluster)


def _pair_accuracy(scores: Array, labelled: Labelled) -> Estimate | None:
    """Of pairs (civil, rude), ties one half; None where the set has none."""
    pair = np.unique(labelled.pair, return_inverse=True)[1]
    if len(pair) == pair.max() + 1:
        return None
    civil, rude = (
        scores[side][np.argsort(pair[side])] for side in (labelled.civil, ~labelled.civil)
    )
    won = (civil > rude) + 0.5 * (civil == rude)
    return from_sums(np.stack([won, np.ones_like(won)], axis=1), np.arange(len(won)), ratio)
