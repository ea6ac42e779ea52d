"""How the posterior of the paid terms' weights contracts with more prompts, and if it covers.

The prompts are dealt into eight parts, into four, into two, and left whole. The pairs of each part
have a posterior N(m, S) of the weights by themselves (irl/recovery/posterior.py); where all of them
are told, S goes as 1 / n. That it contracts is no evidence that it is right: it does so too where a
coin says who wrote what, which stands beside it. What can be wrong is what a part says of the rest.
With prior precision P around 0, and the likelihood of the other prompts near a Gaussian, their mode
m' and covariance S' follow the true weights w as

    m' = A w + e,   e ~ N(0, A S'),   A = I - S' P

so the part says m' ~ N(A m, A S A' + A S'). Counted is how many weights lie in their 95 % interval;
and, where the truth is known, how many planted weights lie in those of N(m, S).

Intervals draw both parts and weights again. The terms were chosen on all prompts, the parts alike.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from irl.bootstrap import crossed_mean, share
from irl.evaluation.identifiability import matched_answers
from irl.records import Contraction, Estimate
from irl.recovery.posterior import Gaussian, laplace, prior_of

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
PARTS = (8, 4, 2, 1)
MIN_PROMPTS = 10
"Of a part"
_Z = 1.959964


def contraction(
    features: Array,
    aligned: NDArray[np.bool_],
    prompt: Codes,
    *,
    prior_sd_nats: float,
    seed: int,
    truth: Array | None = None,
) -> list[Contraction]:
    """One row of what is assumed, then one for each number of prompts, rising.

    Args:
        features: what is paid, [response, weight].
        aligned: who wrote it.
        prompt: prompt number of each.
        prior_sd_nats: of a weight.
        seed: of the dealing and of the coin.
        truth: the planted weights, nats.

    Returns:
        Empty where nothing is paid or too few prompts are there.
    """
    ours, theirs = matched_answers(aligned, prompt)
    numbers = np.unique(prompt[ours])
    if not features.shape[1] or len(numbers) < MIN_PROMPTS:
        return []
    rng = np.random.default_rng(seed)
    prior, dealt = prior_of(features.shape[1], prior_sd_nats), rng.permutation(numbers)
    told = torch.from_numpy(features[ours] - features[theirs])
    coin = torch.from_numpy(rng.choice([-1.0, 1.0], len(ours)))[:, None] * told
    assumed = _together([prior])
    rows = [_row(0, assumed, assumed, None, None)]
    for n in PARTS:
        if len(numbers) // n < MIN_PROMPTS:
            continue
        parts = [np.isin(prompt[ours], part) for part in np.array_split(dealt, n)]
        own, by_coin = (
            _together([laplace(given[part], prior) for part in parts]) for given in (told, coin)
        )
        held = None
        if n > 1:
            rest = _together([laplace(told[~part], prior) for part in parts])
            held = _holds(mode_of_rest(own, rest, prior), rest.mean)
        planted = None if truth is None else _holds(own, torch.from_numpy(truth))
        rows.append(_row(len(numbers) // n, own, by_coin, held, planted))
    return rows


def mode_of_rest(part: Gaussian, rest: Gaussian, prior: Gaussian) -> Gaussian:
    """Where a part says that the mode of the other prompts lies; the prior's mean is 0."""
    eye = torch.eye(part.mean.shape[-1], dtype=torch.float64)
    pull = eye - rest.covariance @ torch.linalg.inv(prior.covariance)
    mean = (pull @ part.mean[..., None]).squeeze(-1)
    return Gaussian(mean, pull @ part.covariance @ pull.mT + pull @ rest.covariance)


def _together(each: Sequence[Gaussian]) -> Gaussian:
    return Gaussian(
        torch.stack([one.mean for one in each]), torch.stack([one.covariance for one in each])
    )


def _holds(interval: Gaussian, value: Tensor) -> Array:
    """Which values lie in the 95 % intervals, [part, weight]."""
    within: Array = ((interval.mean - value).abs() <= _Z * interval.sd).double().numpy()
    return within


def _row(
    prompts: int, own: Gaussian, by_coin: Gaussian, held: Array | None, planted: Array | None
) -> Contraction:
    parts, weights = own.mean.shape
    return Contraction(
        prompts=prompts,
        parts=parts,
        weights=weights,
        trace=float(own.trace.mean()),
        trace_low=float(own.trace.min()),
        trace_high=float(own.trace.max()),
        log_det=float(own.log_det.mean()),
        coin_trace=float(by_coin.trace.mean()),
        covered=_share(held),
        truth_covered=_share(planted),
    )


def _share(holds: Array | None) -> Estimate | None:
    """Of intervals, [part, weight]; n counts weights, or parts where there is one weight."""
    if holds is None:
        return None
    return share(crossed_mean(holds if holds.shape[1] > 1 else holds.T))
