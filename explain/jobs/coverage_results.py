"""Rows about posteriors: do their intervals cover as often as they say?

Simulation-based calibration (Talts et al. 2018): weights are drawn from the prior, preferences from
the weights, and the posterior of either should hold the weights 90 times of 100 in its 90 %
intervals, with ranks that are uniform. Contraction stands beside it, in rounds whose posterior is
the next prior, for true labels and for labels drawn by a coin, and beside the spread of refits to
pairs drawn again: posteriors contract either way, and refits agree with them either way.
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from scipy.stats import kstest
from torch import Tensor

from explain.jobs.result_rows import Making, Measured, counted
from irl.bootstrap import from_sums, ratio
from irl.records import Estimate, ResultRow
from irl.recovery.posterior import Gaussian, draws, laplace, mean_field, prior_of, rounds

LEVEL = 0.9
REFITS = 20
VARIANCE = "total variance (prior 1 each)"
COVERED = f"{LEVEL:.0%} intervals of a weight that cover"


class CoverageRecipe(BaseModel):
    """What is simulated; the seed is fixed beforehand."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["coverage"]
    seed: int
    features: int
    pairs: int
    correlations: tuple[float, ...]
    "of the features"
    simulations: int
    sampled: int
    "simulations of the sampler, which takes longer"
    kept: int
    "draws of each chain"
    parts: int
    "rounds"


def coverage_rows(recipe: CoverageRecipe, making: Making) -> list[ResultRow]:
    """Every posterior at every correlation of the features."""
    rows: list[ResultRow] = []
    for together in recipe.correlations:
        of = Measured(f"features that correlate by {together:g}", [recipe.seed])
        generator = torch.Generator().manual_seed(recipe.seed)
        weights, differences = simulated(recipe, together, generator)
        for name, method in (("laplace", laplace), ("mean-field", mean_field)):
            making.say(f"{of.case}: {name}")
            rows += _gaussian(of, name, weights, method(differences, prior_of(recipe.features)))
        making.say(f"{of.case}: elliptical slice")
        few = slice(0, recipe.sampled)
        chains = draws(
            differences[few], prior_of(recipe.features), recipe.kept, generator, warm_up=100
        )
        rows += _sampled(of, weights[few], chains)
        rows += _contraction(of, recipe, weights, differences, generator)
    return rows


def simulated(
    recipe: CoverageRecipe, together: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Weights from the prior, [simulation, feature], and pairs by them, chosen minus rejected."""
    n, p = recipe.simulations, recipe.features
    common = together * torch.ones(p, p) + (1 - together) * torch.eye(p)
    root = torch.linalg.cholesky(common.double())
    weights = torch.randn(n, p, generator=generator, dtype=torch.float64)
    given = torch.randn(n, recipe.pairs, p, generator=generator, dtype=torch.float64) @ root.T
    likely = torch.sigmoid((given @ weights[..., None]).squeeze(-1))
    won = torch.rand(likely.shape, generator=generator, dtype=torch.float64) < likely
    return weights, torch.where(won[..., None], given, -given)


def _gaussian(of: Measured, name: str, weights: Tensor, found: Gaussian) -> Iterator[ResultRow]:
    z = (weights - found.mean) / found.sd
    below = torch.special.ndtr(z)
    yield from _calibrated(of, name, below)
    yield of.row(name, VARIANCE, "", _mean(found.trace))


def _sampled(of: Measured, weights: Tensor, chains: Tensor) -> Iterator[ResultRow]:
    name = "elliptical slice"
    yield from _calibrated(of, name, (chains < weights).double().mean(0))
    yield of.row(name, VARIANCE, "", _mean(chains.var(0).sum(-1)))


def _calibrated(of: Measured, name: str, below: Tensor) -> Iterator[ResultRow]:
    """Of the share of the posterior below each true weight, [simulation, feature]."""
    tail = (1 - LEVEL) / 2
    covered = ((below > tail) & (below < 1 - tail)).double()
    yield of.row(name, COVERED, "share", _mean(covered.mean(1)))
    n, features = below.shape
    smallest = min(float(kstest(row.numpy(), "uniform").pvalue) for row in below.T)
    p = min(features * smallest, 1.0)
    yield of.row(name, "p of uniform ranks (Kolmogorov-Smirnov, Bonferroni)", "", counted(p, n))


def _contraction(
    of: Measured, recipe: CoverageRecipe, weights: Tensor, true: Tensor, generator: torch.Generator
) -> Iterator[ResultRow]:
    coin = torch.rand(true.shape[:2], generator=generator, dtype=torch.float64) < 0.5
    noise = torch.where(coin[..., None], true, -true)
    for labels, given in (("true labels", true), ("labels by a coin", noise)):
        parts = given.split(recipe.pairs // recipe.parts, 1)
        found = rounds(parts, prior_of(recipe.features))
        for number, one in enumerate(found, 1):
            name = f"laplace, {labels}, round {number} of {len(found)}"
            yield of.row(name, VARIANCE, "", _mean(one.trace))
            yield of.row(name, "log det of the covariance (prior 0)", "", _mean(one.log_det))
        refitted = _refit_variance(given[: recipe.sampled], generator)
        said = f"laplace, {labels}, {REFITS} refits to pairs drawn again"
        yield of.row(said, VARIANCE, "", _mean(refitted))
        z = (weights - found[-1].mean) / found[-1].sd
        covered = (z.abs() < torch.special.ndtri(torch.tensor((1 + LEVEL) / 2))).double()
        yield of.row(f"laplace, {labels}, last round", COVERED, "share", _mean(covered.mean(1)))


def _refit_variance(given: Tensor, generator: torch.Generator) -> Tensor:
    """The sum of the variances of the weights over bootstrap refits, [simulation]."""
    n, pairs, features = given.shape
    means = []
    for _ in range(REFITS):
        at = torch.randint(pairs, (n, pairs), generator=generator)
        again = given.gather(1, at[..., None].expand(-1, -1, features))
        means.append(laplace(again, prior_of(features)).mean)
    return torch.stack(means).var(0).sum(-1)


def _mean(values: Tensor) -> Estimate | None:
    """Over simulations, each a cluster of its own."""
    columns = np.stack([values.numpy(), np.ones(len(values))], axis=1)
    return from_sums(columns, np.arange(len(values)), ratio)
