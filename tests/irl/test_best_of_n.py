"""Best-of-n against all subsets, its KL against an exact one, and the fits against their forms."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from irl.errors import InputError
from irl.rlhf.best_of_n import PUBLISHED_N, best_of_n, curve, kl_nats, rank_weights
from irl.rlhf.over_optimisation import fit_form


def brute(proxy: np.ndarray, gold: np.ndarray, n: int) -> float:
    """The mean over all subsets; of tied best ones, their mean."""
    means = []
    for some in combinations(range(len(proxy)), n):
        here = np.array(some)
        best = here[proxy[here] == proxy[here].max()]
        means.append(gold[best].mean())
    return float(np.mean(means))


@given(st.lists(st.integers(0, 3), min_size=6, max_size=6), st.integers(1, 6))
def test_the_estimator_is_the_mean_over_all_subsets(proxy: list[int], n: int):
    gold = np.array([0.3, -1.0, 2.0, 0.5, -0.2, 1.1])
    scores = np.array(proxy, dtype=float)
    assert best_of_n(scores, gold, [n])[0] == pytest.approx(brute(scores, gold, n))


def test_the_order_of_answers_has_no_say_when_gold_goes_with_them():
    generator = np.random.default_rng(0)
    proxy, gold = generator.normal(size=50).round(1), generator.normal(size=50)
    order = generator.permutation(50)
    ns = [1, 2, 10, 50]
    assert best_of_n(proxy[order], gold[order], ns) == pytest.approx(best_of_n(proxy, gold, ns))


def test_it_is_unbiased_over_draws_of_the_answers():
    generator = np.random.default_rng(1)
    proxy = generator.normal(size=(1500, 8))
    found = np.mean([best_of_n(row, row, [3])[0] for row in proxy])
    assert found == pytest.approx(0.8463, abs=0.04), "the mean of the largest of three normals"


def test_weights_are_a_distribution_for_every_published_n():
    for n in PUBLISHED_N:
        weights = rank_weights(512, n)
        assert weights.sum() == pytest.approx(1)
        assert weights[-1] == pytest.approx(n / 512)
    with pytest.raises(InputError, match="best of 9 cannot be told from 8"):
        rank_weights(8, 9)


def test_kl_is_that_of_the_density_of_the_maximum():
    """Density n u^(n - 1) against the uniform one."""
    u = (np.arange(200_000) + 0.5) / 200_000
    for n in (1, 2, 10):
        density = n * u ** (n - 1)
        exact = float(np.mean(density * np.log(np.maximum(density, 1e-300))))
        assert kl_nats(n) == pytest.approx(exact, abs=1e-3)
    assert kl_nats(500) == pytest.approx(5.2166, abs=1e-4)


def test_a_curve_has_one_interval_for_each_n():
    generator = np.random.default_rng(2)
    proxy = [generator.normal(size=20) for _ in range(12)]
    each, means = curve(proxy, proxy, [1, 4])
    assert each.shape == (12, 2)
    assert means[1] is not None
    assert means[1].low < means[1].value < means[1].high
    assert means[1].value == pytest.approx(each[:, 1].mean())


@pytest.mark.parametrize("form", ["best-of-n", "rl"])
def test_a_curve_of_the_form_is_fitted_exactly(form: str):
    kl = np.array([kl_nats(n) for n in (1, 2, 5, 10, 50, 300)])
    d = np.sqrt(np.maximum(kl, 1e-300))
    shape = d * (2 - 0.7 * d) if form == "best-of-n" else d * (2 - 0.7 * np.log(d))
    gold = np.where(kl > 0, shape, 0.0) + np.arange(5.0)[:, None]
    found = fit_form(gold, kl, form)
    assert found.alpha is not None
    assert found.beta is not None
    assert found.peak_kl_nats is not None
    assert (found.alpha.value, found.beta.value) == pytest.approx((2, 0.7))
    peak = (2 / 1.4) ** 2 if form == "best-of-n" else float(np.exp(2 / 0.7 - 1) ** 2)
    assert found.peak_kl_nats.value == pytest.approx(peak)
    assert found.r2 == pytest.approx(1)
    again = fit_form(np.stack([gold, gold + 1]), kl, form)
    assert again.alpha is not None
    assert again.alpha.value == pytest.approx(2), "each training starts from its own policy"


def test_a_curve_that_never_falls_has_no_peak():
    kl = np.array([kl_nats(n) for n in (1, 2, 5, 10)])
    assert fit_form(np.sqrt(kl)[None] * np.ones((4, 1)) + kl, kl).peak_kl_nats is None
    with pytest.raises(InputError, match="the policy itself"):
        fit_form(np.ones((3, 2)), np.array([0.5, 1.0]))


def test_what_cannot_be_ranked_is_refused():
    with pytest.raises(InputError, match="NaN or infinite"):
        best_of_n(np.array([1.0, np.nan]), np.array([1.0, 2.0]), [1])
    with pytest.raises(InputError, match="at least one prompt"):
        curve([], [], [1])
    kl = np.array([kl_nats(n) for n in (1, 2, 5)])
    with pytest.raises(InputError, match="at least two prompts"):
        fit_form(np.ones((1, 3)), kl)
    with pytest.raises(InputError, match="there are 3 and 2"):
        fit_form(np.ones((2, 3)), kl[:2])
