"""Gao's forms of over-optimisation, fitted to a curve of gold reward over KL (2210.10760).

With d = sqrt(KL), in sqrt(nats), and R the gold reward less that of the policy itself,

    best-of-n   R(d) = d (alpha - beta d)
    RL          R(d) = d (alpha - beta log d)

Both are linear in alpha and beta, so the fit is least squares over the points with d > 0; intervals
come from prompts that are drawn again. alpha > 0 with beta > 0: gold rises, turns at the peak
(d = alpha / (2 beta), or exp(alpha / beta - 1)) and falls. Points of one curve share their answers,
so the fit's own standard errors would be too small.
"""

from dataclasses import dataclass
from typing import Literal, assert_never

import numpy as np
from numpy.typing import NDArray

from irl.bootstrap import crossed_means, percentile_estimate
from irl.errors import InputError
from irl.records import Estimate

Array = NDArray[np.float64]
Form = Literal["best-of-n", "rl"]


@dataclass(frozen=True)
class OverOptimisation:
    """A fitted form; R in units of the gold reward, d in sqrt(nats)."""

    form: Form
    alpha: Estimate | None
    beta: Estimate | None
    peak_kl_nats: Estimate | None
    "where gold is highest; None where it does not fall, or only in some draws"
    r2: float


def fit_form(gold: Array, kl: Array, form: Form = "best-of-n", seed: int = 0) -> OverOptimisation:
    """Fit a form to gold rewards [prompt, point] at KLs [point]; one point has a KL of 0.

    Gold may have further leading axes, such as trainings: each is drawn again as prompts are.

    Raises:
        InputError: no point is the policy itself, there are too few others or one prompt only, or
            the numbers are not finite or do not go together.
    """
    if gold.shape[-1] != len(kl) or not (np.isfinite(gold).all() and np.isfinite(kl).all()):
        raise InputError(
            f"A form is fitted to finite gold rewards at finite KLs, one each; there are "
            f"{gold.shape[-1]} and {len(kl)}."
        )
    if gold.shape[-2] < 2:
        raise InputError("A form's intervals need at least two prompts.")
    start, moved = kl == 0, kl > 0
    if not start.any() or moved.sum() < 2:
        raise InputError("A form is fitted to the policy itself (KL 0) and two further points.")
    d = np.sqrt(kl[moved])
    gained = gold[..., moved] - gold[..., start].mean(-1, keepdims=True)
    solve = np.linalg.pinv(_design(d, form))
    mean, n = gained.mean(tuple(range(gained.ndim - 1))), gold.shape[-2]
    value, drawn = solve @ mean, crossed_means(gained, seed) @ solve.T
    off = mean - _design(d, form) @ value
    total = float(((mean - mean.mean()) ** 2).sum())
    alpha, beta = (percentile_estimate(float(value[at]), drawn[:, at], n) for at in (0, 1))
    peaks = _peaks(drawn, form)
    turns = np.isfinite(_peaks(value[None], form)[0]) and np.isfinite(peaks).all()
    at_peak = float(_peaks(value[None], form)[0])
    return OverOptimisation(
        form=form,
        alpha=alpha,
        beta=beta,
        peak_kl_nats=percentile_estimate(at_peak, peaks, n) if turns else None,
        r2=1 - float((off**2).sum()) / total if total else float("nan"),
    )


def _design(d: Array, form: Form) -> Array:
    match form:
        case "best-of-n":
            return np.stack([d, -(d**2)], axis=1)
        case "rl":
            return np.stack([d, -d * np.log(d)], axis=1)
        case _:
            assert_never(form)


def _peaks(coefficients: Array, form: Form) -> Array:
    """KL at which each form is highest, nats; infinite where it never falls."""
    alpha, beta = coefficients.T
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        at = alpha / (2 * beta) if form == "best-of-n" else np.exp(alpha / beta - 1)
        falls = (beta > 0) & ((alpha > 0) | (form == "rl"))
        result: Array = np.where(falls, at**2, np.inf)
    return result
