"""Boosted trees fitted to pairs by the gradients of Bradley-Terry or of classification.

Bradley-Terry (m = r(chosen) - r(rejected), p = sigmoid(m)); trees take gradient and curvature:

    chosen    p - 1,  p (1 - p)          rejected    1 - p,  p (1 - p)

Pointwise: sigmoid(r) - 1 and sigmoid(r), with the curvature of each. Every member stops when the
loss of the prompts that it holds out has not fallen for `patience` trees.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from irl.config import Learning
from irl.recovery.examples import Examples
from irl.recovery.fit import drawn_again, hold_out
from irl.rewards.boosted import Boosted, lightgbm

Array = NDArray[np.float64]
Slopes = tuple[Array, Array]
TREE_RATE = 0.1
_CURVATURE = 1e-6
"Trees divide by it"


def boosted(
    examples: Examples, learning: Learning, *, pointwise: bool, bootstrap: bool
) -> tuple[Boosted, torch.Tensor]:
    """One member for each seed, and which prompts it held out; epochs count trees.

    Args:
        examples: pairs, see `Examples.of_pairs`.
        learning: seeds and when to stop.
        pointwise: classify answers instead of comparing them.
        bootstrap: weigh prompts by draws with replacement.

    Raises:
        InputError: LightGBM is not installed.
    """
    library = lightgbm()
    clusters, seeds = examples.clusters, learning.seeds
    n = int(clusters.max()) + 1
    held_out = torch.stack([hold_out(n, learning.validation_share, seed) for seed in seeds])
    weights = drawn_again(held_out, seeds) if bootstrap else (~held_out).float()
    loss = _pointwise if pointwise else _bradley_terry
    texts = []
    for out, weight, seed in zip(held_out[:, clusters], weights[:, clusters], seeds, strict=True):
        fit = _Fit(library, examples, loss, seed)
        texts.append(fit.member(weight.double().numpy(), out.numpy(), learning))
    return Boosted(texts), held_out[:, clusters]


@dataclass(frozen=True)
class _Fit:
    library: Any
    examples: Examples
    loss: Callable[[Array, Array], tuple[Slopes, Array]]
    seed: int

    def member(self, weight: Array, held_out: NDArray[np.bool_], learning: Learning) -> str:
        """One member as text."""
        train, validation = self._data(~held_out), self._data(held_out)
        weights = {id(train): weight[~held_out], id(validation): np.ones(int(held_out.sum()))}

        def slopes(scores: Array, data: Any) -> Slopes:
            (gradient, curvature), _ = self.loss(*np.split(scores, 2))
            twice = np.tile(weights[id(data)], 2)
            return gradient * twice, (curvature * twice).clip(_CURVATURE)

        def judged(scores: Array, data: Any) -> tuple[str, float, bool]:
            _, losses = self.loss(*np.split(scores, 2))
            return "loss", float(np.average(losses, weights=weights[id(data)])), False

        parameters = {"objective": slopes, "learning_rate": TREE_RATE, "verbose": -1}
        parameters |= {"seed": self.seed, "deterministic": True, "num_threads": 1}
        booster = self.library.train(
            parameters | {"metric": "none", "feature_fraction": 0.5},
            train,
            num_boost_round=learning.epochs,
            valid_sets=[validation],
            feval=judged,
            callbacks=[self.library.early_stopping(learning.patience, verbose=False)],
        )
        return str(booster.model_to_string(num_iteration=booster.best_iteration))

    def _data(self, pairs: NDArray[np.bool_]) -> Any:
        rows = np.tile(pairs, 2)  # of_pairs: all chosen, then all rejected
        features = self.examples.features.numpy()[rows].astype(np.float64)
        return self.library.Dataset(features, np.repeat([1.0, 0.0], pairs.sum()))


def _bradley_terry(chosen: Array, rejected: Array) -> tuple[Slopes, Array]:
    wrong = _sigmoid(rejected - chosen)
    curvature = np.tile(wrong * (1 - wrong), 2)
    return (np.concatenate([-wrong, wrong]), curvature), np.logaddexp(0, rejected - chosen)


def _pointwise(chosen: Array, rejected: Array) -> tuple[Slopes, Array]:
    p = _sigmoid(np.concatenate([chosen, rejected]))
    gradient = p - np.repeat([1.0, 0.0], len(chosen))
    losses = (np.logaddexp(0, -chosen) + np.logaddexp(0, rejected)) / 2
    return (gradient, p * (1 - p)), losses


def _sigmoid(values: Array) -> Array:
    result: Array = 1 / (1 + np.exp(-np.clip(values, -500, 500)))
    return result
