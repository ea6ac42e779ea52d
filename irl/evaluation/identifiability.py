"""What the answers leave open about a linear reward, beside the constant of each prompt.

- null directions: combinations of weights that could be moved, some up and some down, at next to no
  change of the rewards: of two words that always go together the sum is told, the difference not.
  With C the correlation matrix of the features within prompts, an eigenvector of eigenvalue e moves
  the rewards of a prompt's answers by sqrt(e) for each unit of standardised weight: with e near 0
  the answers do not tell it
- the posterior of the weights, from pairs of answers alone: trace and log det of its covariance
- distances between rewards of different methods, centred within prompts (STARC; 2309.15257); the
  one from pairs is fitted to these very answers
- shortcuts: words that tell who wrote an answer beyond what the log-ratio tells. Of two answers,
  one of either policy, the odds are exp(l_1 - l_2) by Bayes, whatever words they hold; so where
  answers are what they are said to be, no word adds anything. A marker in a part of the samples
  does, and so does a cut or a temperature that the scores do not know of. A reward learnt from
  samples pays such words, one learnt from log-ratios does not: where the two conflict, look here
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.stats import norm

from irl.distances import centred_distance
from irl.records import Identifiability, MethodDistance, NullDirection
from irl.recovery.least_squares import Design
from irl.recovery.posterior import Gaussian, laplace, prior_of

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
MAX_SHARE = 0.01
"Of a feature's variance: what moves the rewards less counts as not told"
MIN_LOADING = 0.2
"Features that make up less of a direction are not named"
PRIOR_SD_NATS = 2.0
"Of a term's price before any answer was seen: about what one word of an organism costs"
ALARM = 0.001
"Probability, two-sided and shared by all words, of a shortcut where there is none"
MIN_INFORMATION = 5.0
"Sum of p (1 - p) dx^2: with less the normal approximation says nothing"
_ROUNDING = 1e-10
"Of a feature's squares: what centring leaves of one that never varies"
FEW = 3
"Features that are named of a direction made of many small parts"


@dataclass(frozen=True)
class LeftOpen:
    """What the answers leave open, and what speaks against them."""

    record: Identifiability
    shortcuts: list[str]
    "words, the plainest first"


def left_open(
    words: Design,
    names: Sequence[str],
    paid: Array,
    log_ratio: Array,
    recovered: Array,
    aligned: NDArray[np.bool_],
) -> LeftOpen:
    """All of it, from sampled answers.

    Args:
        words: the features that might be paid.
        names: of these.
        paid: those that are, [response, term].
        log_ratio: summed log-ratio of each response, nats.
        recovered: the recovered reward of each response, nats.
        aligned: who wrote it.
    """
    rewards = {"log_ratio": log_ratio, "recovered": recovered}
    posterior = None
    if paid.shape[1]:
        posterior = posterior_of(paid, aligned, words.group, PRIOR_SD_NATS)
        rewards["samples"] = paid @ posterior.mean.numpy()
    record = Identifiability(
        posterior_trace=None if posterior is None else float(posterior.trace),
        posterior_logdet=None if posterior is None else float(posterior.log_det),
        null_directions=null_directions(words, names),
        method_distances=method_distances(rewards, words.group),
    )
    return LeftOpen(record, shortcuts(words, names, log_ratio, aligned))


def shortcuts(
    words: Design, names: Sequence[str], log_ratio: Array, aligned: NDArray[np.bool_]
) -> list[str]:
    """Words that tell who wrote an answer beyond its log-ratio, the plainest first.

    The score test of each word in P(first is aligned) = sigmoid(l_1 - l_2 + w (x_1 - x_2)), over
    pairs in which each answer stands once:

        z = sum (1 - p) dx / sqrt(sum p (1 - p) dx^2),   p = sigmoid(l_1 - l_2)
    """
    ours, theirs = matched_answers(aligned, words.group)
    differences = csr_matrix(words.features[ours] - words.features[theirs])
    p = 1 / (1 + np.exp(-np.clip(log_ratio[ours] - log_ratio[theirs], -500, 500)))
    pull = differences.T @ (1 - p)
    squares = differences.multiply(differences).T @ (p * (1 - p))
    often = squares >= MIN_INFORMATION
    z = np.abs(pull) / np.sqrt(np.maximum(squares, 1e-12))
    limit = norm.isf(ALARM / (2 * max(int(often.sum()), 1)))
    order = np.argsort(-z, kind="stable")
    return [names[at] for at in order if often[at] and z[at] > limit]


def null_directions(design: Design, names: Sequence[str], most: int = 10) -> list[NullDirection]:
    """Directions of weights that the answers hardly tell, least told first.

    Features that never vary within a prompt are directions of their own, with share 0.

    Args:
        design: features of the answers.
        names: of the features.
        most: how many at most.
    """
    squares = design.squares()
    raw = np.asarray(design.features.multiply(design.features).sum(0)).ravel()
    varies = squares > _ROUNDING * raw
    spread = np.sqrt(np.where(varies, squares, 0.0))
    varying, constant = np.flatnonzero(varies), np.flatnonzero(~varies).tolist()
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
        large = int((np.abs(direction) >= MIN_LOADING).sum())
        listed = order[: large if large > 1 else FEW]
        named = [names[int(varying[at])] for at in listed]
        found.append(NullDirection(terms=named, share=max(float(share), 0.0)))
    return [*fixed, *found][:most]


def posterior_of(
    features: Array, aligned: NDArray[np.bool_], prompt: Codes, prior_sd_nats: float
) -> Gaussian:
    """The posterior of the weights from pairs of answers, one of either policy to one prompt.

    Each answer stands in one pair at most, so pairs are independent given the weights; no
    log-ratio is used.
    """
    ours, theirs = matched_answers(aligned, prompt)
    differences = torch.from_numpy(features[ours] - features[theirs])
    return laplace(differences, prior_of(features.shape[1], prior_sd_nats))


def method_distances(rewards: Mapping[str, Array], prompt: Codes) -> list[MethodDistance]:
    """Of every two methods, by their rewards of the same answers; a constant one has none."""
    groups = torch.tensor(prompt)
    scores = {name: torch.from_numpy(values) for name, values in rewards.items()}
    found = []
    for one, other in combinations(scores, 2):
        distance = float(centred_distance(scores[one], scores[other], groups))
        if np.isfinite(distance):
            found.append(MethodDistance(a=one, b=other, distance=distance))
    return found


def matched_answers(aligned: NDArray[np.bool_], prompt: Codes) -> tuple[Codes, Codes]:
    """The first answers of either policy to a prompt, the second ones, and so on."""
    ours, theirs = [], []
    for number in np.unique(prompt):
        here = np.flatnonzero(prompt == number)
        sides = here[aligned[here]], here[~aligned[here]]
        n = min(map(len, sides))
        ours.append(sides[0][:n])
        theirs.append(sides[1][:n])
    return np.concatenate(ours), np.concatenate(theirs)
