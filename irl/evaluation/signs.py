"""What the answers say of the training, whatever the user says of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irl.bootstrap import from_sums, ratio
from irl.evaluation.spillover import Priced, Spillover, spillover
from irl.records import Estimate, Objective
from irl.rewards.conditions import TypedPrompt, meets
from irl.rewards.terms import TermReward

Array = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Spoken:
    """Answers of both policies; arrays and lists have one entry per response."""

    texts: Sequence[str]
    asked: Sequence[TypedPrompt]
    "the prompt of each"
    returns: Array
    "summed log-ratio, nats"
    own_nats: Array
    "summed log-probability under the policy that wrote it"
    n_tokens: Array
    aligned: NDArray[np.bool_]
    "who wrote it"
    prompt: Codes
    "prompt number, 0 .. n - 1 all used"
    fold: Codes
    "a function of the prompt"


@dataclass(frozen=True)
class Signs:
    """What the answers say of the training."""

    spillover: Spillover | None = None
    "in the prompts where the first objective applies"
    entropy_lost: Estimate | None = None


def signs_of(
    spoken: Spoken, objectives: Sequence[Objective], reward: TermReward, seed: int = 0
) -> Signs:
    """All signs.

    Args:
        spoken: the answers.
        objectives: what was found, the strongest first.
        reward: the term reward fitted to all answers.
        seed: of the bootstrap.
    """
    lost = entropy_lost(spoken, seed)
    priced = Priced.of(reward, objectives)
    if priced is None:
        return Signs(None, lost)
    condition = objectives[0].condition
    rows = np.array([meets(condition, prompt) for prompt in spoken.asked], dtype=bool)
    prompt = np.unique(spoken.prompt[rows], return_inverse=True)[1]
    features = reward.features(spoken.texts, spoken.asked)[rows]
    found = spillover(features, spoken.returns[rows], prompt, spoken.fold[rows], priced, seed)
    return Signs(found, lost)


def entropy_lost(spoken: Spoken, seed: int = 0) -> Estimate | None:
    """1 - H(aligned) / H(reference), entropies per token by each policy's own answers.

    Negative where the aligned policy is the more varied one; None with fewer than two prompts.
    """
    own = np.stack([-spoken.own_nats, spoken.n_tokens], axis=1)
    ours = spoken.aligned[:, None]
    columns = np.concatenate([own * ours, own * ~ours], axis=1)
    return from_sums(columns, spoken.prompt, _lost, seed=seed)


def _lost(sums: Array) -> Array:
    lost: Array = 1 - ratio(sums[..., :2]) / ratio(sums[..., 2:])
    return lost
