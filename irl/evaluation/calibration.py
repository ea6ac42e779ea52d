"""Are the odds that a reward gives the odds that come true? Without the true reward.

- membership: of two answers to one prompt, one of either policy, Bayes gives the odds that the
  first is the aligned one as exp(l_1 - l_2) with l the log-ratio in nats. A reward that stands in
  for the log-ratio must give the same odds, and who wrote what is known without any label.
- labels: P(chosen wins) = sigmoid(a (s_chosen - s_rejected)) under Bradley-Terry. The scale a > 0
  is one over beta, which the checkpoints do not hold, so it is fitted by likelihood on the other
  folds of pairs (Platt 1999, without an offset: a pair has no first side).

The error is the expected calibration error in ten bins of as many pairs, every pair in both orders:

    sum_b n_b / n |mean outcome in b - mean probability in b|

Chance alone makes it about sqrt(bins / (4 pi n)) for n pairs of even odds: with few pairs it looks
worse than it is. A score that gives every pair even odds is calibrated and knows nothing, so it has
no figure.
"""

import numpy as np
from numpy.typing import NDArray

from irl.bootstrap import from_sums
from irl.records import Estimate

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
BINS = 10
FOLDS = 5
_STEPS = 50
_NO_ODDS = 1e-9
"A scale that bisection cannot tell from 0"
_MAX_ODDS = 30.0
"Nats: beyond, probabilities are 0 or 1 in double precision"


def membership_error(
    reward: Array, aligned: NDArray[np.bool_], prompt: Codes, seed: int = 0
) -> Estimate | None:
    """Of the odds of who wrote which of two answers to a prompt; clusters are prompts.

    None where the reward is the same for all answers to a prompt.

    Args:
        reward: of each response, nats, from a fit that had no part in its prompt.
        aligned: who wrote it.
        prompt: prompt number of each.
        seed: of the bootstrap.
    """
    odds, cluster = [np.empty(0)], [np.empty(0, dtype=np.int64)]
    for number in np.unique(prompt):
        here = prompt == number
        ours, theirs = reward[here & aligned], reward[here & ~aligned]
        odds.append((ours[:, None] - theirs).ravel())
        cluster.append(np.full(odds[-1].size, number))
    pairs = np.concatenate(odds)
    return _error(pairs, np.concatenate(cluster), seed) if pairs.any() else None


def label_error(margins: Array, cluster: Codes, seed: int = 0) -> Estimate | None:
    """Of the odds that a pair is labelled as it is, the scale from other folds; None without pairs.

    None as well where the score ranks against its labels on the other folds: it has no odds then.

    Args:
        margins: score of the better response less that of the worse, by the label, of each pair.
        cluster: what is drawn and held out together, 0 .. n - 1 all used.
        seed: of the bootstrap.
    """
    odds = label_odds(margins, cluster)
    return None if odds is None else _error(odds, cluster, seed)


def label_odds(margins: Array, cluster: Codes) -> Array | None:
    """Log-odds of each pair's label, the scale from other folds; None as for `label_error`."""
    if not len(margins):
        return None
    odds = np.zeros_like(margins)
    for fold in range(FOLDS):
        inside = cluster % FOLDS == fold
        if inside.all():
            return None
        scale = likely_scale(margins[~inside])
        if not scale > _NO_ODDS:
            return None
        odds[inside] = scale * margins[inside]
    return odds


def likely_scale(margins: Array) -> float:
    """argmax_a >= 0 of sum log sigmoid(a m), by bisection of its decreasing derivative.

    Where every margin is right the likelihood rises for ever; odds are then as sure as they get.
    """
    size = float(np.abs(margins).mean())
    if not size:
        return 0.0
    low, high = 0.0, _MAX_ODDS / size
    for _ in range(_STEPS):
        middle = (low + high) / 2
        pull = float((margins / (1 + np.exp(np.clip(middle * margins, -500, 500)))).sum())
        low, high = (middle, high) if pull > 0 else (low, middle)
    return low


def _error(odds: Array, cluster: Codes, seed: int) -> Estimate | None:
    """Pairs whose first side came true, with the odds given to it; both orders are counted."""
    if not len(odds):
        return None
    both = np.concatenate([odds, -odds])
    came = np.repeat([1.0, 0.0], len(odds))
    given = 1 / (1 + np.exp(-np.clip(both, -_MAX_ODDS, _MAX_ODDS)))
    order = np.argsort(both, kind="stable")
    place = np.empty(len(both), dtype=np.int64)
    place[order] = np.arange(len(both)) * BINS // len(both)
    place = _ties_together(place, both)
    columns = np.zeros((len(both), BINS + 1))
    columns[np.arange(len(both)), place] = came - given
    columns[:, BINS] = 1.0
    clusters = np.unique(np.tile(cluster, 2), return_inverse=True)[1]
    return from_sums(columns, clusters, _expected, seed=seed)


def _ties_together(place: Codes, values: Array) -> Codes:
    """Equal values go to the lowest of their bins, so that the order of rows has no say."""
    number = np.unique(values, return_inverse=True)[1]
    lowest = np.full(int(number.max()) + 1, BINS)
    np.minimum.at(lowest, number, place)
    result: Codes = lowest[number]
    return result


def _expected(sums: Array) -> Array:
    error: Array = np.abs(sums[..., :BINS]).sum(-1) / sums[..., BINS]
    return error
