"""The triage's detectors against what is planted for them, in the reward's own answers.

    distance      held-out answers with their words in another order, among those as they were
    boundary      pairs that a planted reward does not tell apart, among those that it does; heads
                  learn it from the pairs that the reward was fitted to, relabelled
    local error   pairs whose answers both say a spurious word; heads learn the planted reward with
                  the labels of such pairs turned, and half of the held-out pairs, rightly labelled,
                  tell where they err

The planted reward counts a few words that some answers have and some have not, half of them as a
charge. A detector has no figure where its plant did not grow: heads that are right about the turned
pairs leave nothing to find.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from irl.bootstrap import share
from irl.config import Learning
from irl.ensembles.training import Training, members
from irl.errors import InputError
from irl.evaluation.accuracy import wins
from irl.evaluation.auc import grouped_auc
from irl.evaluation.calibration import likely_scale
from irl.evaluation.neighbours import Known
from irl.evaluation.pair_figures import mean_of
from irl.evaluation.triage import local_error, margin
from irl.records import Estimate
from irl.records.trust import Detector
from irl.rewards.terms import count_terms
from irl.rewards.words import words

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]
Embedded = Float[Tensor, "answer feature"]
PAYING = 4
"Words of the planted reward"
RAREST, COMMONEST = 0.08, 0.6
"Share of answers that have a planted word"
_HOW = Training(
    form="mlp",
    loss="bradley-terry",
    hidden=(64,),
    bootstrap=True,
    learning=Learning(
        seeds=(0, 1, 2),
        epochs=60,
        patience=10,
        learning_rate=1e-2,
        penalties=(1e-4,),
        prompts_per_step=64,
    ),
)
_FAR = "held-out answers with their words in another order"
_TIED = "pairs that a planted reward does not tell apart"
_TURNED = "pairs with a word for which labels were turned before fitting"


@dataclass(frozen=True)
class EmbeddedPairs:
    """Different answers, embedded, and the pairs that they form."""

    texts: Sequence[str]
    embedded: Embedded
    cluster: Codes
    "of each answer"
    first: Codes
    "number of one answer of each pair"
    second: Codes

    @property
    def pair_cluster(self) -> Codes:
        """The cluster of each pair, numbered from 0."""
        numbers: Codes = np.unique(self.cluster[self.first], return_inverse=True)[1]
        return numbers

    def differences(self, values: Array) -> Array:
        """Of a value of the answers, first less second."""
        result: Array = values[..., self.first] - values[..., self.second]
        return result


def detectors(
    fitted: EmbeddedPairs,
    held_out: EmbeddedPairs,
    embed: Callable[[Sequence[str], Codes], Embedded],
    k: int,
    seed: int = 0,
) -> list[Detector]:
    """The AUC of every detector.

    Args:
        fitted: what the reward was fitted to.
        held_out: what it was not.
        embed: other texts in the place of held-out answers, given with the numbers of those.
        k: neighbours.
        seed: of orders and bootstraps.
    """
    known = Known.of(fitted.embedded)
    found = [_distance(known, held_out, embed, k, seed)]
    plant = planted_words(fitted)
    if plant is None:
        reason = "no words that some answers have and some have not"
        missing = {"boundary": _TIED, "local error": _TURNED}
        return found + [_none(name, said, reason) for name, said in missing.items()]
    paying, spurious = plant
    weights = np.array([1.0, -1.0] * len(paying))[: len(paying)]
    gold = [count_terms(one.texts, paying) @ weights for one in (fitted, held_out)]
    said = [count_terms(one.texts, [spurious]).toarray()[:, 0] > 0 for one in (fitted, held_out)]
    return [
        *found,
        _boundary(known, (fitted, held_out), (gold[0], gold[1]), seed),
        _local(known, (fitted, held_out), (gold[0], gold[1]), (said[0], said[1]), k, seed),
    ]


def planted_words(pairs: EmbeddedPairs) -> tuple[list[str], str] | None:
    """Words that pay and cost, and the spurious one, of those that some answers have.

    Spurious is the word that most often stands in both answers of a pair where it stands in either:
    it marks a kind of prompt, so that its pairs lie together. The commonest of the others pay.

    Returns:
        None where there are too few words.
    """
    counts: dict[str, int] = {}
    for text in pairs.texts:
        for word in set(words(text)):
            counts[word] = counts.get(word, 0) + 1
    n = len(pairs.texts)
    usable = [word for word, m in counts.items() if RAREST * n <= m <= COMMONEST * n]
    if len(usable) < PAYING + 1:
        return None
    usable.sort(key=lambda word: (-counts[word], word))
    said = count_terms(pairs.texts, usable).toarray() > 0
    first, second = said[pairs.first], said[pairs.second]
    together = (first & second).sum(0) / np.maximum((first | second).sum(0), 1)
    spurious = usable[int(together.argmax())]
    return [word for word in usable if word != spurious][:PAYING], spurious


def shuffled(texts: Sequence[str], seed: int) -> tuple[list[str], Codes]:
    """Texts with their words in another order, and which; those of too few words are left out."""
    generator = np.random.default_rng(seed)
    turned: list[str] = []
    at: list[int] = []
    for number, text in enumerate(texts):
        pieces = text.split()
        if len(set(pieces)) >= 4:
            turned.append(" ".join(pieces[one] for one in generator.permutation(len(pieces))))
            at.append(number)
    return turned, np.array(at, dtype=np.int64)


def _distance(
    known: Known,
    held_out: EmbeddedPairs,
    embed: Callable[[Sequence[str], Codes], Embedded],
    k: int,
    seed: int,
) -> Detector:
    texts, at = shuffled(held_out.texts, seed)
    if not len(at):
        return _none("distance", _FAR, "no answer has enough words to change their order")
    near = known.nearest(torch.cat([embed(texts, at), held_out.embedded]), k).mean
    high = np.arange(len(near)) < len(at)
    cluster = np.concatenate([held_out.cluster[at], held_out.cluster])
    return _found("distance", _FAR, auc(near, high, cluster, seed))


def _boundary(
    known: Known, pairs: tuple[EmbeddedPairs, EmbeddedPairs], gold: tuple[Array, Array], seed: int
) -> Detector:
    told = pairs[1].differences(gold[1])
    margins = learnt(known, pairs, gold[0], np.zeros(len(pairs[0].first), dtype=bool))
    if margins is None:
        return _none("boundary", _TIED, "too few pairs to learn the planted reward from")
    signed = (margins * np.sign(told))[:, told != 0]
    right = share(mean_of(wins(signed.mean(0)), pairs[1].pair_cluster[told != 0], seed))
    if right is None or right.low <= 0.5:
        reason = f"heads did not learn the planted reward, accuracy {_in_words(right)}"
        return _none("boundary", _TIED, reason)
    scale = likely_scale(signed.ravel())
    p = (1 / (1 + np.exp(-np.clip(scale * margins, -500, 500)))).mean(0)
    return _found("boundary", _TIED, auc(-margin(p), told == 0, pairs[1].pair_cluster, seed))


def _local(
    known: Known,
    pairs: tuple[EmbeddedPairs, EmbeddedPairs],
    gold: tuple[Array, Array],
    said: tuple[Flags, Flags],
    k: int,
    seed: int,
) -> Detector:
    fitted, held_out = pairs
    turned = said[0][fitted.first] & said[0][fitted.second]
    zone = said[1][held_out.first] & said[1][held_out.second]
    told = held_out.differences(gold[1])
    margins = learnt(known, pairs, gold[0], turned)
    if margins is None:
        return _none("local error", _TURNED, "too few pairs to learn the planted reward from")
    mean = margins.mean(0)
    inside = zone & (told != 0)
    right = share(mean_of(wins((mean * np.sign(told))[inside]), held_out.pair_cluster[inside]))
    if right is None or right.high >= 0.5:
        return _none(
            "local error", _TURNED, f"heads are not wrong there, accuracy {_in_words(right)}"
        )
    rate = rate_of_other_half(known, held_out, np.where(told == 0, np.nan, mean * told < 0), k)
    tested = np.isfinite(rate) & (told != 0)
    found = auc(rate[tested], zone[tested], held_out.pair_cluster[tested], seed)
    return _found("local error", _TURNED, found)


def rate_of_other_half(known: Known, pairs: EmbeddedPairs, wrong: Array, k: int) -> Array:
    """Local error of every other prompt's pairs, from the pairs of the prompts between them.

    Args:
        known: in whose units distances are.
        pairs: that are held out.
        wrong: 1 for each pair that is ranked wrongly, else 0; NaN where the truth does not tell.
        k: neighbours.
    """
    asked = pairs.pair_cluster % 2 == 1
    there = np.flatnonzero(~asked & np.isfinite(wrong))
    answers = np.concatenate([pairs.first[there], pairs.second[there]])
    if not len(there):
        return np.full(len(wrong), np.nan)
    searched = Known(known.standardised(pairs.embedded[answers]), known.centre, known.scale)
    near = searched.nearest(pairs.embedded, k)
    rate = local_error(near, np.tile(np.arange(len(there)), 2), wrong[there]).rate
    both: Array = (rate[pairs.first] + rate[pairs.second]) / 2
    return np.where(asked, both, np.nan)


def learnt(
    known: Known, pairs: tuple[EmbeddedPairs, EmbeddedPairs], gold: Array, turned: Flags
) -> Array | None:
    """Margins of heads on the held-out pairs, [member, pair], each member in its own spread.

    None where there are too few pairs to learn from.

    Args:
        known: the answers that are learnt from.
        pairs: their pairs, and those held out.
        gold: the planted reward of the answers that are learnt from.
        turned: which of their pairs are labelled the wrong way round.
    """
    fitted, held_out = pairs
    told = fitted.differences(gold)
    kept = np.flatnonzero(told)
    first = (told > 0) != turned
    better = torch.from_numpy(np.where(first, fitted.first, fitted.second)[kept])
    worse = torch.from_numpy(np.where(first, fitted.second, fitted.first)[kept])
    features = known.features
    cluster = np.unique(fitted.pair_cluster[kept], return_inverse=True)[1]
    try:
        head = members(features[better], features[worse], cluster, _HOW)
    except InputError:
        return None
    with torch.inference_mode():
        scores = head(known.standardised(held_out.embedded)).double().numpy()
    margins = held_out.differences(scores)
    spread = margins.std(1, keepdims=True)
    result: Array = margins / np.where(spread > 0, spread, 1.0)
    return result


def auc(scores: Array, high: Flags, cluster: Codes, seed: int = 0) -> Estimate | None:
    """P(a planted item scores higher than another), whatever their prompts."""
    return grouped_auc(scores, high, np.zeros(len(scores), dtype=np.int64), cluster, seed)


def _found(name: str, planted: str, estimate: Estimate | None) -> Detector:
    reason = None if estimate else "too few planted items, or too few others"
    return Detector(name=name, planted=planted, auc=estimate, reason=reason)


def _none(name: str, planted: str, reason: str) -> Detector:
    return Detector(name=name, planted=planted, auc=None, reason=reason)


def _in_words(estimate: Estimate | None) -> str:
    return "unknown" if estimate is None else f"{estimate:.2f}"
