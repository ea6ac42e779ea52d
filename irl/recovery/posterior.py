"""Bayesian linear rewards: what preferences say of the weights, and how surely.

With d = phi(chosen) - phi(rejected) of each pair and a Gaussian prior,

    w ~ N(m, S),   P(chosen over rejected | w) = sigmoid(d'w)

and three ways to the posterior:

    laplace      N(mode, (S^-1 + sum p (1 - p) d d')^-1), p at the mode: full covariance
    draws        by elliptical slice sampling (Murray, Adams and MacKay 2010) around that Gaussian:
                 exact in the limit, for small dimensions
    mean_field   the product of Gaussians nearest in KL(q || posterior), as the field uses
                 (2510.06096). It knows no correlations, so it is too sure of every weight that goes
                 with others, and it contracts by construction: that it does is no evidence

Pairs are independent given w: an answer may stand in one pair only. Not identified: what shifts all
answers to a prompt alike, since only differences count; in directions in which no pair differs the
posterior is the prior. All functions take leading batch dimensions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import softplus

Differences = Float[Tensor, "*batch pair feature"]
Vector = Float[Tensor, "*batch feature"]
Square = Float[Tensor, "*batch feature feature"]
Each = Float[Tensor, "*batch pair"]
_STEPS = 200
_CLOSE = 1e-9
"Relative to the standard deviations: a step that counts as none"
_NODES, _SHARES = np.polynomial.hermite_e.hermegauss(32)


@dataclass(frozen=True)
class Gaussian:
    """A prior, or a posterior in Gaussian form."""

    mean: Vector
    covariance: Square

    @property
    def sd(self) -> Vector:
        """Of each weight."""
        return self.covariance.diagonal(dim1=-2, dim2=-1).sqrt()

    @property
    def trace(self) -> Float[Tensor, "*batch"]:
        """Total variance."""
        return self.covariance.diagonal(dim1=-2, dim2=-1).sum(-1)

    @property
    def log_det(self) -> Float[Tensor, "*batch"]:
        """Log of the squared volume of the ellipsoid of one standard deviation."""
        return torch.logdet(self.covariance)

    def margins(self, differences: Differences) -> tuple[Each, Each]:
        """Mean and variance of d'w."""
        mean = _times(differences, self.mean)
        variance = ((differences @ self.covariance) * differences).sum(-1)
        return mean, variance


@dataclass(frozen=True)
class Predicted:
    """What is expected of pairs."""

    probability: Each
    "that the first answer is preferred"
    aleatoric_nats: Each
    "entropy that would be left if the weights were known, on average"
    epistemic_nats: Each
    "what the answer would tell of the weights (mutual information); the sum is the entropy"


def prior_of(features: int, sd: float = 1.0) -> Gaussian:
    """Weights that are nothing but small."""
    eye = torch.eye(features, dtype=torch.float64)
    return Gaussian(torch.zeros(features, dtype=torch.float64), sd**2 * eye)


def laplace(differences: Differences, prior: Gaussian) -> Gaussian:
    """The Gaussian at the mode, found by Newton's method with halved steps where needed."""
    precision = torch.linalg.inv(prior.covariance)
    weights = prior.mean.expand(*differences.shape[:-2], -1).clone()
    for _ in range(_STEPS):
        pull = _pull(differences, torch.sigmoid(-_times(differences, weights)))
        away = _times(precision, weights - prior.mean)
        curvature = _curvature(differences, weights, precision)
        step = torch.linalg.solve(curvature, pull - away)
        weights = weights + _length(differences, prior.mean, precision, weights, step) * step
        if (step.abs() * curvature.diagonal(dim1=-2, dim2=-1).sqrt()).max() < _CLOSE:
            break
    return Gaussian(weights, torch.linalg.inv(_curvature(differences, weights, precision)))


def rounds(parts: Sequence[Differences], prior: Gaussian) -> list[Gaussian]:
    """One part after the other: the posterior of each is the prior of the next (2510.06096)."""
    found: list[Gaussian] = []
    for part in parts:
        found.append(laplace(part, found[-1] if found else prior))
    return found


def draws(
    differences: Differences, prior: Gaussian, n: int, generator: torch.Generator, warm_up: int = 50
) -> Float[Tensor, "draw *batch feature"]:
    """Draws from the posterior by elliptical slice sampling, one chain for each of the batch.

    A new point lies on the ellipse through the old one and a draw from a Gaussian, at an angle that
    shrinks towards the old one until the target is above a random share of the old one's. The
    Gaussian is that of `laplace`, and the target what the posterior is beside it (Nishihara, Murray
    and Adams 2014): where both are near, a draw hardly knows the one before.
    """
    pilot = laplace(differences, prior)
    root = torch.linalg.cholesky(pilot.covariance)
    tight, loose = (torch.linalg.inv(one.covariance) for one in (pilot, prior))
    batch = differences.shape[:-2]

    def target(off: Tensor) -> Tensor:
        weights = pilot.mean + off
        beside = _quadratic(off, tight) - _quadratic(weights - prior.mean, loose)
        return _log_likelihood(differences, weights) + 0.5 * beside

    def uniform() -> Tensor:
        return torch.rand(batch, generator=generator, dtype=differences.dtype)

    state = torch.zeros(*batch, differences.shape[-1], dtype=differences.dtype)
    kept = []
    for number in range(warm_up + n):
        noise = torch.randn(state.shape, generator=generator, dtype=state.dtype)
        other = _times(root, noise)
        level = target(state) + uniform().log()
        angle = 2 * torch.pi * uniform()
        low, high = angle - 2 * torch.pi, angle
        new = state
        waiting = torch.ones(batch, dtype=torch.bool)
        while waiting.any():
            tried = state * angle.cos()[..., None] + other * angle.sin()[..., None]
            fine = waiting & (target(tried) > level)
            new = torch.where(fine[..., None], tried, new)
            waiting = waiting & ~fine
            low, high = torch.where(angle < 0, angle, low), torch.where(angle < 0, high, angle)
            angle = torch.where(waiting, low + (high - low) * uniform(), angle)
        state = new
        if number >= warm_up:
            kept.append(pilot.mean + state)
    return torch.stack(kept)


def mean_field(differences: Differences, prior: Gaussian) -> Gaussian:
    """The best product of Gaussians; its stationary point by fixed-point steps.

        S^-1 (m_q - m) = sum E[sigmoid(-z)] d,   1 / s_j^2 = (S^-1)_jj + sum E[p (1 - p)] d_j^2

    with z = d'w under q, a normal; expectations by quadrature (Opper and Archambeau 2009).
    """
    precision = torch.linalg.inv(prior.covariance)
    start = laplace(differences, prior)
    mean, variance = start.mean, start.sd**2
    for _ in range(_STEPS):
        z = _at_nodes(_times(differences, mean), _times(differences**2, variance))
        bent = _expected(torch.sigmoid(z) * torch.sigmoid(-z))
        curvature = precision + _gram(differences, bent)
        pull = _pull(differences, _expected(torch.sigmoid(-z)))
        away = _times(precision, mean - prior.mean)
        step = torch.linalg.solve(curvature, pull - away)
        mean = mean + step
        narrower = 1 / curvature.diagonal(dim1=-2, dim2=-1)
        moved = ((narrower - variance).abs() / variance).max() + (
            step.abs() / variance.sqrt()
        ).max()
        variance = narrower
        if moved < _CLOSE:
            break
    return Gaussian(mean, torch.diag_embed(variance))


def predict(posterior: Gaussian, differences: Differences) -> Predicted:
    """Preferences of new pairs, with what is not known split in two (nats)."""
    p = torch.sigmoid(_at_nodes(*posterior.margins(differences)))
    probability = _expected(p)
    aleatoric = _expected(_entropy(p))
    return Predicted(probability, aleatoric, (_entropy(probability) - aleatoric).clamp(min=0))


# Below, the prior may lack the batch dimensions that the pairs have.


def _times(matrix: Tensor, vector: Tensor) -> Tensor:
    return (matrix @ vector[..., None]).squeeze(-1)


def _pull(differences: Tensor, each: Tensor) -> Tensor:
    return (differences * each[..., None]).sum(-2)


def _gram(differences: Tensor, each: Tensor) -> Tensor:
    return differences.mT @ (differences * each[..., None])


def _curvature(differences: Tensor, weights: Tensor, precision: Tensor) -> Tensor:
    p = torch.sigmoid(_times(differences, weights))
    return precision + _gram(differences, p * (1 - p))


def _log_likelihood(differences: Tensor, weights: Tensor) -> Tensor:
    return -softplus(-_times(differences, weights)).sum(-1)


def _quadratic(off: Tensor, precision: Tensor) -> Tensor:
    form: Tensor = (off * _times(precision, off)).sum(-1)
    return form


def _length(
    differences: Tensor, mean: Tensor, precision: Tensor, weights: Tensor, step: Tensor
) -> Tensor:
    """The longest of 1, 1/2, 1/4 ... at which the posterior is highest among them."""
    lengths = 0.5 ** torch.arange(8, dtype=weights.dtype)
    tried = weights + lengths.view(-1, *[1] * weights.dim()) * step
    off = tried - mean
    posterior = _log_likelihood(differences, tried) - 0.5 * _quadratic(off, precision)
    best = posterior.argmax(0)
    return lengths[best][..., None]


def _at_nodes(mean: Tensor, variance: Tensor) -> Tensor:
    nodes = torch.as_tensor(_NODES, dtype=mean.dtype)
    return mean[..., None] + variance.clamp(min=0).sqrt()[..., None] * nodes


def _expected(values: Tensor) -> Tensor:
    shares = torch.as_tensor(_SHARES / _SHARES.sum(), dtype=values.dtype)
    expected: Tensor = (values * shares).sum(-1)
    return expected


def _entropy(p: Tensor) -> Tensor:
    return -(torch.xlogy(p, p) + torch.xlogy(1 - p, 1 - p))
