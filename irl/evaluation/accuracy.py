"""Does a score agree with labels? Every figure is invariant under score -> a score + c(prompt).

preference          share of (chosen, rejected) couples of a pair that the score ranks as
                    labelled, ties one half
auc                 the same over all couples of a higher and a lower label under one prompt; with
                    empty prompts everywhere that is the ordinary AUC
spearman            rank correlation with graded labels, both centred within the prompt
length_controlled   preference, after the best linear effect of length is taken from the score
ece                 calibration error of the odds that pairs are labelled as they are, the unknown
                    scale fitted on other pairs
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irl.bootstrap import from_sums, rank_correlation, ratio, share
from irl.evaluation.auc import grouped_auc
from irl.evaluation.calibration import label_error
from irl.records import Accuracy, Estimate
from irl.within import centred

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
_ROUNDING = 1e-9
"A difference that length explains up to so small a share is a tie"


@dataclass(frozen=True)
class Labels:
    """Labels of responses, with what they may be compared with; arrays of one entry a response."""

    source: str
    label: Array
    prompt: Codes
    pair: Codes
    "responses of one labelled pair share a number; -1 outside pairs"
    cluster: Codes
    length: Array
    "in tokens"


def accuracy(scorer: str, scores: Array, labels: Labels, seed: int = 0) -> Accuracy:
    """All agreement figures of one scorer."""
    return Accuracy(
        scorer=scorer,  # type: ignore[arg-type]
        labels=labels.source,
        preference=preference(scores, labels, seed),
        auc=auc(scores, labels, seed),
        spearman=graded_correlation(scores, labels, seed),
        ece=calibration(scores, labels, seed),
        length_controlled=length_controlled(scores, labels, seed),
    )


def preference(scores: Array, labels: Labels, seed: int = 0) -> Estimate | None:
    """Pair accuracy with ties one half; None without pairs."""
    better, worse = couples(labels.pair, labels.label)
    return _share_of_wins(scores[better] - scores[worse], labels.cluster[better], seed)


def length_controlled(scores: Array, labels: Labels, seed: int = 0) -> Estimate | None:
    """Pair accuracy of score - a * length, with a by least squares over the pairs' differences."""
    better, worse = couples(labels.pair, labels.label)
    longer = labels.length[better] - labels.length[worse]
    difference = scores[better] - scores[worse]
    if np.any(longer):
        by_length = longer * ((difference @ longer) / (longer @ longer))
        rest = difference - by_length
        difference = np.where(np.abs(rest) > _ROUNDING * np.abs(difference), rest, 0.0)
    return _share_of_wins(difference, labels.cluster[better], seed)


def calibration(scores: Array, labels: Labels, seed: int = 0) -> Estimate | None:
    """Of the odds that the score gives to the labels of pairs; None without pairs."""
    better, worse = couples(labels.pair, labels.label)
    return label_error(scores[better] - scores[worse], _renumber(labels.cluster[better]), seed)


def auc(scores: Array, labels: Labels, seed: int = 0) -> Estimate | None:
    """P(higher label scores higher) over couples that share a prompt; None for graded labels."""
    if len(np.unique(labels.label)) != 2:
        return None
    high = labels.label == labels.label.max()
    return grouped_auc(scores, high, labels.prompt, labels.cluster, seed)


def graded_correlation(scores: Array, labels: Labels, seed: int = 0) -> Estimate | None:
    """Spearman's correlation with graded labels; None for labels of two grades."""
    if len(np.unique(labels.label)) <= 2:
        return None
    x, y = centred(scores, labels.prompt), centred(labels.label, labels.prompt)
    return rank_correlation(x, y, _renumber(labels.cluster), seed)


def couples(groups: Codes, label: Array) -> tuple[Codes, Codes]:
    """All (higher, lower) index couples within the pairs; pair -1 has none."""
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order]) != 0) + 1
    better, worse = [np.empty(0, dtype=int)], [np.empty(0, dtype=int)]
    for members in np.split(order, starts):
        if len(members) and groups[members[0]] >= 0:
            high, low = np.nonzero(label[members][:, None] > label[members][None, :])
            better.append(members[high])
            worse.append(members[low])
    return np.concatenate(better), np.concatenate(worse)


def wins(differences: Array) -> Array:
    """1 where the better one scores higher, 1/2 where they tie."""
    won: Array = (differences > 0) + 0.5 * (differences == 0)
    return won


def pair_shares(scores: Array, labels: Labels) -> Array:
    """Pair accuracy of scores [scorer, response], [scorer]; NaN without pairs."""
    better, worse = couples(labels.pair, labels.label)
    if not len(better):
        return np.full(len(scores), np.nan)
    shares: Array = wins(scores[:, better] - scores[:, worse]).mean(1)
    return shares


def _share_of_wins(difference: Array, cluster: Codes, seed: int) -> Estimate | None:
    won = wins(difference)
    columns = np.stack([won, np.ones_like(won)], axis=1)
    return share(from_sums(columns, _renumber(cluster), ratio, seed=seed))


def _renumber(clusters: Codes) -> Codes:
    return np.unique(clusters, return_inverse=True)[1]
