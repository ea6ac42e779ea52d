"""Probabilities of outcomes on trials that had no part in the fit: right, ranked, calibrated?"""

import numpy as np
from numpy.typing import NDArray

from irl.bootstrap import from_sums, share
from irl.evaluation.auc import grouped_auc
from irl.evaluation.pair_figures import mean_of
from irl.records import Estimate, OutcomeFigures

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
BINS = 10
_HALF = 0.5


def outcome_figures(
    probability: Array, outcome: Array, cluster: Codes, seed: int = 0
) -> OutcomeFigures:
    """Of trials; an outcome above one half is a success, one half itself decides nothing.

    Args:
        probability: of success, from fits to other clusters.
        outcome: in [0, 1].
        cluster: the query of each trial.
        seed: of the bootstrap.
    """
    right = ((probability - _HALF) * (outcome - _HALF) > 0).astype(float)
    right[(probability == _HALF) | (outcome == _HALF)] = _HALF
    told = outcome != _HALF
    success, all_together = outcome > _HALF, np.zeros(len(outcome), dtype=np.int64)

    def auc(group: Codes) -> Estimate | None:
        return grouped_auc(probability[told], success[told], group[told], cluster[told], seed)

    return OutcomeFigures(
        accuracy=share(mean_of(right, cluster, seed)),
        auc=auc(all_together),
        auc_within_queries=auc(cluster),
        calibration_error=calibration_error(probability, outcome, cluster, seed),
    )


def calibration_error(
    probability: Array, outcome: Array, cluster: Codes, seed: int = 0
) -> Estimate | None:
    """sum_b n_b / n |mean outcome in b - mean probability in b| over bins of about as many trials.

    Trials of the same probability share a bin, so the order of rows has no say. Chance alone makes
    it about sqrt(bins / (2 pi n)) for n trials of even odds.
    """
    if not len(probability):
        return None
    edges = np.unique(np.quantile(probability, np.arange(1, BINS) / BINS, method="lower"))
    place = np.searchsorted(edges, probability, side="left")
    columns = np.zeros((len(probability), BINS + 1))
    columns[np.arange(len(probability)), place] = outcome - probability
    columns[:, BINS] = 1.0

    def expected(sums: Array) -> Array:
        error: Array = np.abs(sums[..., :BINS]).sum(-1) / sums[..., BINS]
        return error

    numbers = np.unique(cluster, return_inverse=True)[1]
    return from_sums(columns, numbers, expected, seed=seed)
