"""Heads fitted to outcomes in [0, 1]: logistic loss of every trial by itself.

    -(y log sigmoid(r) + (1 - y) log(1 - sigmoid(r)))

An absolute label: adding a constant to r under one prompt changes the loss, so nothing is free.
Compare `irl.losses.bradley_terry`, which no constant of a prompt changes.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from irl.config import Learning
from irl.losses import Losses, Sides
from irl.recovery.boosting import TREE_RATE
from irl.recovery.examples import Examples
from irl.recovery.fit import Aim, drawn_again, fit, hold_out
from irl.rewards.boosted import Boosted, lightgbm
from irl.rewards.heads import Head, Layers

Array = NDArray[np.float64]
LayersForm = Callable[[int, int, torch.Generator], Layers]


def outcome_loss(_: object, scores: Sides) -> Losses:
    """Of each trial: its score stands on both sides, weighing y and 1 - y."""
    softplus = torch.nn.functional.softplus
    succeeded = (softplus(-scores.aligned) * scores.ours).sum(-1)
    return succeeded + (softplus(scores.reference) * scores.theirs).sum(-1)


def fit_outcomes(
    features: Float[Tensor, "trial feature"],
    outcomes: Float[Tensor, " trial"],
    cluster: Int[Tensor, " trial"],
    form: LayersForm,
    learning: Learning,
    scales: Sequence[Float[Tensor, " feature"]] = (),
) -> Layers:
    """One member for each seed, on bootstrap draws of the clusters; each holds some out to stop.

    Args:
        features: with a constant, if scores are to have one.
        outcomes: in [0, 1].
        cluster: what is held out and drawn together (the query), 0 .. n - 1 all used.
        form: what kind of head.
        learning: seeds, steps and when to stop.
        scales: what to multiply features by, several to try: a small one makes a feature dear. Each
            member keeps the one that validates best.

    Raises:
        InputError: too few clusters to hold some out.
    """
    weights = torch.cat([outcomes, 1 - outcomes]).to(features.dtype)
    heads, losses = [], []
    for scale in scales or (torch.ones(features.shape[1]),):
        pairs = Examples.of_pairs(features * scale, features * scale, cluster)
        examples = replace(pairs, weights=weights)
        fitted = fit(examples, form, Aim(outcome_loss), learning, bootstrap=True)
        first, *others = fitted.head.parameters()
        # The same scores from features that are not scaled.
        heads.append(fitted.head.holding([first.detach() * scale[:, None], *others]))
        losses.append(fitted.validation.nan_to_num(torch.inf).amin(1))
    chosen, members = torch.stack(losses).argmin(0), torch.arange(len(learning.seeds))
    joined = Head.joined(heads)
    assert isinstance(joined, Layers)
    kept = joined.members_at(chosen * len(members) + members)
    assert isinstance(kept, Layers)
    return kept


def grow_outcomes(
    features: Float[Tensor, "trial feature"],
    outcomes: Float[Tensor, " trial"],
    cluster: Int[Tensor, " trial"],
    learning: Learning,
) -> Boosted:
    """Boosted trees likewise; epochs count trees.

    Raises:
        InputError: LightGBM is not installed.
    """
    library = lightgbm()
    n = int(cluster.max()) + 1
    held_out = torch.stack([hold_out(n, learning.validation_share, s) for s in learning.seeds])
    weights = drawn_again(held_out, learning.seeds)[:, cluster].double().numpy()
    x, y = features.numpy().astype(np.float64), outcomes.double().numpy()
    texts = []
    for out, weight, seed in zip(held_out[:, cluster], weights, learning.seeds, strict=True):
        judged = out.numpy()
        train = library.Dataset(x[~judged], y[~judged], weight=weight[~judged])
        validation = library.Dataset(x[judged], y[judged], reference=train)
        parameters = {
            **{"objective": _slopes, "learning_rate": TREE_RATE, "verbose": -1, "seed": seed},
            **{"deterministic": True, "num_threads": 1, "metric": "none", "feature_fraction": 0.5},
        }
        booster = library.train(
            parameters,
            train,
            num_boost_round=learning.epochs,
            valid_sets=[validation],
            feval=_judged,
            callbacks=[library.early_stopping(learning.patience, verbose=False)],
        )
        texts.append(str(booster.model_to_string(num_iteration=booster.best_iteration)))
    return Boosted(texts)


def _slopes(scores: Array, data: Any) -> tuple[Array, Array]:
    p, weight = 1 / (1 + np.exp(-np.clip(scores, -500, 500))), data.get_weight()
    return (p - data.get_label()) * weight, (p * (1 - p)).clip(1e-6) * weight


def _judged(scores: Array, data: Any) -> tuple[str, float, bool]:
    losses = np.logaddexp(0, scores) - data.get_label() * scores
    return "loss", float(losses.mean()), False
