"""What the answers leave open about a linear reward, beside the constant of each prompt.

- null directions: sums of weights that could be moved at next to no change of any prediction. With
  C the correlation matrix of the features within prompts, an eigenvector of eigenvalue e moves the
  rewards of a prompt's answers by sqrt(e) for each unit of standardised weight: with e near 0 the
  answers do not tell it
- the posterior of the weights, from pairs of answers alone: trace and log det of its covariance
- distances between rewards of different methods, centred within prompts (STARC; 2309.15257)
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray

from irl.distances import centred_distance
from irl.records import MethodDistance, NullDirection
from irl.recovery.least_squares import Design
from irl.recovery.posterior import Gaussian, laplace, prior_of

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
MAX_SHARE = 0.01
"Of a feature's variance: what moves the rewards less counts as not told"
MIN_LOADING = 0.2
"Features that make up less of a direction are not named"


def null_directions(design: Design, names: Sequence[str], most: int = 10) -> list[NullDirection]:
    """Directions of weights that the answers hardly tell, least told first.

    Features that never vary within a prompt are directions of their own, with share 0.

    Args:
        design: features of the answers.
        names: of the features.
        most: how many at most.
    """
    spread = np.sqrt(design.squares())
    varying = np.flatnonzero(spread > 0)
    constant = np.flatnonzero(spread == 0).tolist()
    fixed = [NullDirection(terms=[names[at]], share=0.0) for at in constant]
    if not len(varying):
        return fixed[:most]
    part = design.columns(varying)
    correlation = part.cross(part) / np.outer(spread[varying], spread[varying])
    shares, directions = np.linalg.eigh(correlation)
    found = []
    for share, direction in zip(shares, directions.T, strict=True):
        if share >= MAX_SHARE:
            break
        order = np.argsort(-np.abs(direction), kind="stable")
        named = [names[int(varying[at])] for at in order if abs(direction[at]) >= MIN_LOADING]
        found.append(NullDirection(terms=named, share=max(float(share), 0.0)))
    return [*fixed, *found][:most]


def posterior_of(
    features: Array, aligned: NDArray[np.bool_], prompt: Codes, prior_sd_nats: float
) -> Gaussian:
    """The posterior of the weights from pairs of answers, one of either policy to one prompt.

    Each answer stands in one pair at most, so pairs are independent given the weights; no
    log-ratio is used.
    """
    ours, theirs = _matched(aligned, prompt)
    differences = torch.from_numpy(features[ours] - features[theirs])
    return laplace(differences, prior_of(features.shape[1], prior_sd_nats))


def method_distances(rewards: Mapping[str, Array], prompt: Codes) -> list[MethodDistance]:
    """Of every two methods, by their rewards of the same answers; a constant one has none."""
    groups = torch.from_numpy(prompt)
    scores = {name: torch.from_numpy(values) for name, values in rewards.items()}
    found = []
    for one, other in combinations(scores, 2):
        distance = float(centred_distance(scores[one], scores[other], groups))
        if np.isfinite(distance):
            found.append(MethodDistance(a=one, b=other, distance=distance))
    return found


def _matched(aligned: NDArray[np.bool_], prompt: Codes) -> tuple[Codes, Codes]:
    """The first answers of either policy to a prompt, the second ones, and so on."""
    ours, theirs = [], []
    for number in np.unique(prompt):
        here = np.flatnonzero(prompt == number)
        sides = here[aligned[here]], here[~aligned[here]]
        n = min(map(len, sides))
        ours.append(sides[0][:n])
        theirs.append(sides[1][:n])
    return np.concatenate(ours), np.concatenate(theirs)
