"""When to say nothing: split-conformal sets of labels for pairs, by MAPIE.

A pair is shown in an order that a coin decides; the label says which side was chosen. With p the
probability of each side, the set holds the sides with 1 - p at most the (n + 1) confidence / n
quantile of the same on n other pairs (LAC, Sadinle et al. 2019). One side in the set: the ensemble
answers; two or none: it abstains. The set holds the label at least as often as the confidence says
if pairs are exchangeable; it promises nothing about the pairs that are answered, nor for another
policy's answers. Prompts are split in two; each half is judged by sets from the other.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from irl.bootstrap import from_sums, ratio, share
from irl.errors import InputError
from irl.evaluation.calibration import label_odds
from irl.evaluation.pair_figures import mean_of
from irl.records import Abstention

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
MIN_PAIRS = 40
"In either half; below, the quantile is hardly defined"


def abstention(
    margins: Array, cluster: Codes, confidences: Sequence[float], seed: int = 0
) -> list[Abstention]:
    """What happens at each confidence; those that so few pairs do not determine are left out.

    Sets of confidence c from n pairs need n > 1 / c and n > 1 / (1 - c).

    Args:
        margins: of the aggregate, score of the chosen less that of the rejected answer.
        cluster: what is split together.
        confidences: from 0 to 1.
        seed: of coins and bootstrap.

    Raises:
        InputError: MAPIE is not installed.
    """
    odds, halves = label_odds(margins, cluster), cluster % 2
    n = min((halves == half).sum() for half in (0, 1))
    confidences = [c for c in confidences if n > max(1 / c, 1 / (1 - c))]
    if odds is None or n < MIN_PAIRS or not confidences:
        return []
    side = np.random.default_rng(seed).integers(2, size=len(odds))
    shown = np.where(side == 1, odds, -odds)
    sets = np.zeros((len(odds), 2, len(confidences)), dtype=bool)
    for half in (0, 1):
        here = halves == half
        sets[here] = _sets(shown[~here], side[~here], shown[here], confidences)
    return [
        _at(confidence, sets[..., at], side, cluster, seed)
        for at, confidence in enumerate(confidences)
    ]


def _at(
    confidence: float, sets: NDArray[np.bool_], side: Codes, cluster: Codes, seed: int
) -> Abstention:
    rows = np.arange(len(side))
    covered = sets[rows, side].astype(float)
    answered = (sets.sum(1) == 1).astype(float)
    numbers = np.unique(cluster, return_inverse=True)[1]
    right = np.stack([covered * answered, answered], 1)
    return Abstention(
        confidence=confidence,
        covered=share(mean_of(covered, cluster, seed)),
        answered=share(mean_of(answered, cluster, seed)),
        accuracy_answered=share(from_sums(right, numbers, ratio, seed=seed)),
    )


def _sets(
    calibrating: Array, side: Codes, judged: Array, confidences: Sequence[float]
) -> NDArray[np.bool_]:
    try:
        from mapie.classification import SplitConformalClassifier
    except ImportError:
        raise InputError(
            "Conformal abstention needs MAPIE, which is not installed; pip install mapie."
        ) from None
    # typed loosely: the library is partly untyped
    conformal: Any = SplitConformalClassifier(
        _Odds().fit(), confidence_level=list(confidences), conformity_score="lac", prefit=True
    )
    conformal.conformalize(calibrating[:, None], side)
    _, sets = conformal.predict_set(judged[:, None])
    result: NDArray[np.bool_] = np.asarray(sets, dtype=bool)
    return result


class _Odds(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Odds as a classifier that scikit-learn knows: one column, the log-odds of side 1."""

    def fit(self, *_given: object) -> "_Odds":
        """Nothing is learnt."""
        self.classes_, self.n_features_in_ = np.array([0, 1]), 1
        return self

    def predict_proba(self, odds: Array) -> Array:
        """Probabilities of either side."""
        second = 1 / (1 + np.exp(-np.clip(odds[:, 0], -30, 30)))
        return np.stack([1 - second, second], axis=1)

    def predict(self, odds: Array) -> Codes:
        """The likelier side."""
        return (odds[:, 0] > 0).astype(np.int64)
