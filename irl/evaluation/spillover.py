"""Did the policy move what is paid, or also what keeps its company?

At a KL-regularised optimum the log-ratio of a response is its reward over beta, up to a constant of
the prompt: whatever is not paid for stays where it was. Without the KL term nothing holds the rest,
and words around the paid ones move as well ("you" without the insult). Two figures tell this, both
on prompts that the weights were not fitted to, both invariant under y -> a y + c(prompt), a > 0:

    share           (S - A) / (T - A),   T, S, A = sum of y^2, (y - p)^2, (y - q)^2
                    with p what the dear features predict and q what all features predict: the part
                    of what terms explain that goes with faint ones
    order agreement P(the log-ratio ranks two answers to a prompt as p does, where p tells them
                    apart by half a price or more)

Dear are the features whose weight is at least half the median weight of what the objective names.
A reward that truly pays many words a little looks like spillover too, and the share is then no
proof of bad training; it is proof that the named words alone are not the reward.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irl.bootstrap import from_sums, ratio
from irl.evaluation.held_out import fitted
from irl.records import Estimate, Objective
from irl.rewards.terms import TermReward
from irl.within import centred

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]
DEAR = 0.5
"Of the median price: what a dear feature is worth at least, and what two answers differ by"


@dataclass(frozen=True)
class Spillover:
    """What moved beside what is paid."""

    share: Estimate | None
    order_agreement: Estimate | None


@dataclass(frozen=True)
class Priced:
    """Which features are dear: one entry a term of the reward, and one for the number of words."""

    dear: Mask
    price: float
    "the median, nats"

    @classmethod
    def of(cls, reward: TermReward, objectives: Sequence[Objective]) -> "Priced | None":
        """By what the objectives name; None where the fitted reward has none of it."""
        named = {(term, one.condition) for one in objectives for term in one.terms}
        conditions = reward.conditions or (None,) * len(reward.terms)
        weights = np.abs(reward.weights)
        own = np.array([key in named for key in zip(reward.terms, conditions, strict=True)], bool)
        length = any(one.kind == "length" for one in objectives)
        if own.any():
            price = float(np.median(weights[own]))
            return cls(np.append(weights >= DEAR * price, length), price)
        if length and reward.per_word:
            return cls(np.append(np.zeros(len(weights), bool), True), abs(reward.per_word))
        return None


def spillover(
    features: Array, y: Array, prompt: Codes, fold: Codes, priced: Priced, seed: int = 0
) -> Spillover:
    """Both figures; clusters are prompts.

    Args:
        features: counts of terms and the number of words, [response, feature].
        y: summed log-ratio of each response, nats.
        prompt: prompt number of each, 0 .. n - 1 all used.
        fold: fold of each, a function of the prompt.
        priced: which features are dear.
        seed: of the bootstrap.
    """
    x = np.stack([centred(column, prompt) for column in np.ascontiguousarray(features.T)], axis=1)
    y = centred(y, prompt)
    dear, every = (_out_of_fold(part, y, fold) for part in (x[:, priced.dear], x))
    columns = np.stack([y**2, (y - dear) ** 2, (y - every) ** 2], axis=1)
    pairs = [_pairs(dear[rows], y[rows], priced.price) for rows in _groups(prompt)]
    return Spillover(
        from_sums(columns, prompt, _share, seed=seed),
        from_sums(np.array(pairs), np.arange(len(pairs)), ratio, seed=seed),
    )


def _out_of_fold(features: Array, y: Array, fold: Codes) -> Array:
    predicted = np.zeros_like(y)
    for number in np.unique(fold):
        inside = fold == number
        predicted[inside] = features[inside] @ fitted(features[~inside], y[~inside])
    return predicted


def _groups(prompt: Codes) -> list[Codes]:
    order = np.argsort(prompt, kind="stable")
    return np.split(order, np.cumsum(np.bincount(prompt))[:-1])


def _pairs(predicted: Array, y: Array, price: float) -> tuple[float, float]:
    """Pairs of one prompt that y ranks as predicted (ties one half), of those told apart."""
    told = predicted[:, None] - predicted[None]
    apart = told >= DEAR * price
    agree = (np.sign(y[:, None] - y[None])[apart] + 1) / 2
    return float(agree.sum()), float(apart.sum())


def _share(sums: Array) -> Array:
    total, dear, every = np.moveaxis(sums, -1, 0)
    share: Array = np.maximum(dear - every, 0.0) / (total - np.minimum(dear, every))
    return share
