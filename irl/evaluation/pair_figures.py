"""An ensemble on held-out pairs: accuracy, Brier, calibration, disagreement.

Everything is a function of margins, score of the chosen less that of the rejected answer, so a
constant of the prompt does not count. Probabilities are sigmoid(a m) with the scale a > 0 fitted by
likelihood on other pairs (`irl.evaluation.calibration`): an aggregate has no scale of its own.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from irl.bootstrap import from_sums, ratio, share
from irl.evaluation.accuracy import wins
from irl.evaluation.auc import grouped_auc
from irl.evaluation.calibration import BINS, label_error, label_odds
from irl.records import Disagreement, Estimate, PairFigures, ReliabilityBin
from irl.rewards.aggregation import disagreement as spread_of

Array = NDArray[np.float64]
Codes = NDArray[np.int64]


def figures(scorer: str, margins: Array, cluster: Codes, seed: int = 0) -> PairFigures:
    """One scorer, or several [scorer, pair], over which accuracy is averaged."""
    every = np.atleast_2d(margins)
    single = every[0] if len(every) == 1 else None
    odds = None if single is None else label_odds(single, cluster)
    return PairFigures(
        scorer=scorer,
        accuracy=share(mean_of(wins(every).mean(0), cluster, seed)),
        ties=int((every == 0).sum()),
        brier=None if odds is None else mean_of(brier(odds), cluster, seed),
        ece=None if single is None else label_error(single, cluster, seed),
        reliability=[] if odds is None else reliability(odds),
    )


def brier(odds: Array) -> Array:
    """(1 - p)^2 of each pair, p the probability of its label."""
    result: Array = (1 / (1 + np.exp(np.clip(odds, -500, 500)))) ** 2
    return result


def reliability(odds: Array, bins: int = BINS) -> list[ReliabilityBin]:
    """How often the likelier side was chosen, in bins of as many pairs; ties are half right."""
    sure = 1 / (1 + np.exp(-np.abs(np.clip(odds, -500, 500))))
    order = np.argsort(sure, kind="stable")
    right = wins(odds)
    return [
        ReliabilityBin(
            probability=float(sure[some].mean()),
            share_right=float(right[some].mean()),
            n=len(some),
        )
        for some in np.array_split(order, min(bins, len(order)))
    ]


def disagreement(members: Array, aggregate: Array, cluster: Codes, seed: int = 0) -> Disagreement:
    """Of members' margins [member, pair], beside the margin of the aggregate [pair]."""
    spread = spread_of(torch.from_numpy(members)).numpy()
    wrong, one = aggregate < 0, np.zeros(len(aggregate), dtype=np.int64)
    told = len(members) > 1 and 0 < wrong.sum() < len(wrong)
    return Disagreement(
        mean_sd=mean_of(spread, cluster, seed) if len(members) > 1 else None,
        auc_of_errors=grouped_auc(spread, wrong, one, cluster, seed) if told else None,
        auc_of_small_margins=(
            grouped_auc(-np.abs(aggregate), wrong, one, cluster, seed) if told else None
        ),
    )


def mean_of(values: Array, cluster: Codes, seed: int = 0) -> Estimate | None:
    """A mean with its interval over clusters."""
    numbers = np.unique(cluster, return_inverse=True)[1]
    return from_sums(np.stack([values, np.ones_like(values)], 1), numbers, ratio, seed=seed)
