"""Posteriors against closed forms, quadrature on a grid, and what they promise of intervals."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor

from irl.recovery.posterior import (
    Gaussian,
    draws,
    laplace,
    mean_field,
    predict,
    prior_of,
    rounds,
)


def pairs(n: int, p: int = 2, together: float = 0.0, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Differences of chosen and rejected, and the true weights; features go together so much."""
    generator = torch.Generator().manual_seed(seed)
    common = together * torch.ones(p, p) + (1 - together) * torch.eye(p)
    root = torch.linalg.cholesky(common.double())
    weights = torch.randn(p, generator=generator, dtype=torch.float64)
    given = torch.randn(n, p, generator=generator, dtype=torch.float64) @ root.T
    won = torch.rand(n, generator=generator, dtype=torch.float64) < torch.sigmoid(given @ weights)
    return torch.where(won[:, None], given, -given), weights


def on_a_grid(differences: Tensor, prior: Gaussian, reach: float = 6.0) -> tuple[Tensor, Tensor]:
    """Mean and covariance of the posterior of two weights by brute force."""
    axis = torch.linspace(-reach, reach, 601, dtype=torch.float64)
    points = torch.cartesian_prod(axis, axis)
    off = points - prior.mean
    log = -0.5 * (off @ torch.linalg.inv(prior.covariance) * off).sum(1)
    log = log + torch.nn.functional.logsigmoid(points @ differences.T).sum(1)
    share = log.softmax(0)
    mean = share @ points
    return mean, (points - mean).T @ ((points - mean) * share[:, None])


def test_laplace_is_the_mode_with_the_inverse_of_the_second_derivatives():
    differences, _ = pairs(60, 3)
    prior = Gaussian(
        torch.tensor([0.3, 0.0, -1.0]).double(), torch.diag(torch.tensor([1.0, 4, 2])).double()
    )

    def negative(weights: np.ndarray) -> float:
        w = torch.from_numpy(weights)
        off = w - prior.mean
        fit = torch.nn.functional.softplus(-differences @ w).sum()
        return float(fit + 0.5 * off @ torch.linalg.inv(prior.covariance) @ off)

    found = laplace(differences, prior)
    best = minimize(negative, np.zeros(3), method="BFGS", options={"gtol": 1e-9})
    assert found.mean.tolist() == pytest.approx(best.x, abs=1e-5)

    def torch_negative(w: Tensor) -> Tensor:
        off = w - prior.mean
        fit = torch.nn.functional.softplus(-differences @ w).sum()
        return fit + 0.5 * off @ torch.linalg.inv(prior.covariance) @ off

    hessian = torch.autograd.functional.hessian(torch_negative, found.mean)
    assert torch.allclose(found.covariance @ hessian, torch.eye(3).double(), atol=1e-8)


def test_without_pairs_in_a_direction_the_posterior_there_is_the_prior():
    differences, _ = pairs(80, 3)
    differences[:, 2] = 0
    prior = prior_of(3, sd=2.0)
    for found in (laplace(differences, prior), mean_field(differences, prior)):
        assert float(found.mean[2]) == 0
        assert float(found.sd[2]) == pytest.approx(2.0)
        assert found.sd[:2].max() < 1.0


def test_a_separable_sample_stays_within_the_prior():
    """All pairs won by the same feature: the likelihood has no maximum, the posterior has."""
    differences = torch.ones(400, 1, dtype=torch.float64)
    found = laplace(differences, prior_of(1))
    assert found.mean.isfinite().all()
    assert 2 < float(found.mean) < 8


@pytest.mark.slow
@pytest.mark.parametrize("together", [0.0, 0.8])
def test_slice_sampling_has_the_moments_of_the_posterior(together: float):
    differences, _ = pairs(15, together=together)
    mean, covariance = on_a_grid(differences, prior_of(2))
    chains = differences.expand(200, -1, -1)
    found = draws(chains, prior_of(2), 400, torch.Generator().manual_seed(0)).flatten(0, 1)
    assert torch.allclose(found.mean(0), mean, atol=0.02)
    assert torch.allclose(found.T.cov(), covariance, atol=0.02)


def test_the_mean_field_is_the_nearest_product_of_gaussians():
    """Its KL to the posterior, on a grid, rises in whatever direction it is moved."""
    differences, _ = pairs(30, together=0.7)
    prior = prior_of(2)
    found = mean_field(differences, prior)

    def kl(mean: Tensor, sd: Tensor) -> float:
        nodes, shares = np.polynomial.hermite_e.hermegauss(40)
        points = torch.cartesian_prod(*[torch.from_numpy(nodes)] * 2) * sd + mean
        share = torch.cartesian_prod(*[torch.from_numpy(shares / shares.sum())] * 2).prod(1)
        log = torch.nn.functional.logsigmoid(points @ differences.T).sum(1) - 0.5 * (points**2).sum(
            1
        )
        return float(-(share @ log) - sd.log().sum())

    least = kl(found.mean, found.sd)
    for at in range(2):
        for step in (-0.05, 0.05):
            moved = torch.zeros(2, dtype=torch.float64)
            moved[at] = step
            assert kl(found.mean + moved, found.sd) > least
            assert kl(found.mean, found.sd * (1 + moved)) > least


def test_the_mean_field_is_too_sure_of_weights_that_go_together():
    differences, _ = pairs(200, 4, together=0.9)
    full, product = laplace(differences, prior_of(4)), mean_field(differences, prior_of(4))
    assert product.trace < 0.5 * full.trace
    assert product.log_det < full.log_det


def test_rounds_end_near_where_all_pairs_at_once_do_and_contract():
    differences, _ = pairs(500, 3)
    parts = list(differences.split(100))
    found = rounds(parts, prior_of(3))
    whole = laplace(differences, prior_of(3))
    assert torch.allclose(found[-1].mean, whole.mean, atol=0.15)
    traces = [float(one.trace) for one in [prior_of(3), *found]]
    assert traces == sorted(traces, reverse=True)


def test_contraction_is_no_evidence():
    """Labels drawn by a coin contract the posterior as much as true ones."""
    differences, _ = pairs(500, 3)
    coin = torch.rand(500, 1, generator=torch.Generator().manual_seed(5)) < 0.5
    noise = torch.where(coin, differences, -differences)
    assert laplace(noise, prior_of(3)).trace <= laplace(differences, prior_of(3)).trace


def test_what_is_not_known_is_split_in_two():
    differences, _ = pairs(40, 3)
    posterior = laplace(differences, prior_of(3))
    found = predict(posterior, differences)
    p = found.probability
    entropy = -(p * p.log() + (1 - p) * (1 - p).log())
    assert torch.allclose(found.aleatoric_nats + found.epistemic_nats, entropy, atol=1e-9)
    assert (found.epistemic_nats > 0).all()
    sure = Gaussian(posterior.mean, 1e-12 * posterior.covariance)
    assert predict(sure, differences).epistemic_nats.max() < 1e-9
    drawn = torch.randn(200_000, 3, generator=torch.Generator().manual_seed(0)).double()
    weights = posterior.mean + drawn @ torch.linalg.cholesky(posterior.covariance).T
    expected = torch.sigmoid(weights @ differences[0]).mean()
    assert float(p[0]) == pytest.approx(float(expected), abs=0.003)


def test_batches_are_what_each_is_alone():
    some = torch.stack([pairs(50, 3, seed=seed)[0] for seed in range(4)])
    for method in (laplace, mean_field):
        together = method(some, prior_of(3))
        for number in range(4):
            alone = method(some[number], prior_of(3))
            assert torch.allclose(together.mean[number], alone.mean, atol=1e-7)
            assert torch.allclose(together.covariance[number], alone.covariance, atol=1e-7)


@pytest.mark.slow
def test_intervals_of_laplace_cover_as_often_as_they_say():
    sets = [pairs(300, 4, together=0.5, seed=seed) for seed in range(400)]
    found = laplace(torch.stack([one[0] for one in sets]), prior_of(4))
    z = (torch.stack([one[1] for one in sets]) - found.mean) / found.sd
    assert float((z.abs() < 1.6449).double().mean()) == pytest.approx(0.9, abs=0.03)


@pytest.mark.slow
def test_a_draw_hardly_knows_the_one_before():
    """Ellipses around the prior would be far too wide for 300 pairs, and the chain would crawl."""
    differences, _ = pairs(300, 4, together=0.5)
    chains = draws(
        differences.expand(50, -1, -1), prior_of(4), 200, torch.Generator().manual_seed(0)
    )
    off = chains - chains.mean((0, 1))
    follow = (off[1:] * off[:-1]).mean((0, 1)) / off.square().mean((0, 1))
    assert follow.abs().max() < 0.2
