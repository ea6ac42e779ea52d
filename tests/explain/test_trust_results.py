"""The tables of trust and triage: rank correlations that are known, and whose light is wrong."""

import numpy as np
import pytest

from explain.jobs.result_rows import Measured
from explain.jobs.results import RECIPES, read_recipe
from explain.jobs.triage_results import Scored, auc_rows, zone_rows
from explain.jobs.trust_results import (
    FORECASTS,
    KL,
    TrustRecipe,
    _Found,
    _light_rows,
    agreement_rows,
    rank_agreement,
)

SEEDS, POLICIES = 3, 12


def table(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).exponential(size=(SEEDS, POLICIES))


def test_a_forecast_that_orders_errors_as_they_are_agrees_fully_and_its_opposite_not_at_all():
    error = table()
    for forecast, value in ((error**3, 1.0), (-error, -1.0)):
        found = rank_agreement(forecast, error)
        assert found is not None
        assert (found.value, found.low, found.high) == pytest.approx((value, value, value))
        assert found.n == POLICIES


def test_a_forecast_of_nothing_has_zero_in_its_interval_and_none_is_better_than_the_truth():
    error, blind = table(), table(1)
    found = rank_agreement(blind, error)
    assert found is not None
    assert found.low < 0 < found.high
    more = rank_agreement(blind, error, than=error)
    assert more is not None
    assert more.value == pytest.approx(found.value - 1)
    assert more.high <= 1e-9, "an oracle is not beaten"
    same = rank_agreement(error, error, than=error)
    assert same is not None
    assert (same.low, same.high) == (0, 0)


def found(policy: str, light: str, error: float) -> _Found:
    return _Found(policy, dict.fromkeys(FORECASTS, error), error, light)


def recipe() -> TrustRecipe:
    read = read_recipe(RECIPES / "trust.yaml")
    assert isinstance(read, TrustRecipe)
    return read


def test_every_forecast_has_its_row_and_all_but_kl_one_against_kl():
    rows = [[found(f"p{at}", "red", error) for at, error in enumerate(row)] for row in table()]
    made = list(agreement_rows(Measured("x", [0]), rows))
    assert [row.method for row in made if "more than" not in row.metric] == list(FORECASTS)
    assert KL not in {row.method for row in made if "more than" in row.metric}


@pytest.mark.parametrize("light", ["green", "red"])
def test_a_green_light_for_a_collapsed_policy_is_counted(light: str):
    name = recipe().collapsed[0]
    rows = [[found("calm", "green", 0.1), found(name, light, 2.0)] for _ in range(SEEDS)]
    made = {
        (row.method, row.metric): row for row in _light_rows(Measured("x", [0]), recipe(), rows)
    }
    fault = made["green light", "collapsed without KL"].estimate
    assert fault is not None
    assert (fault.value, fault.n) == (SEEDS if light == "green" else 0, SEEDS)


def test_the_recipe_asks_about_ten_policies_of_four_kinds_and_some_collapsed():
    asked = recipe()
    names = [
        name
        for one in asked.policies
        for name in (
            one.name,
            *(f"{one.name}, step {step}" for step in one.checkpoints),
            *(f"{one.name}, alpha {alpha:g}" for alpha in one.path),
        )
    ]
    assert len(names) >= 10
    assert len(asked.seeds) >= 3
    assert set(asked.collapsed) <= set(names)


def test_scores_are_compared_within_seeds():
    """One seed's scores lie far above the other's; each is right by itself."""
    high = np.arange(40) % 2 == 0
    rows = [
        [Scored("far", "salad", "distance", high + 100.0 * seed, high, np.arange(40) // 2)]
        for seed in range(2)
    ]
    (row,) = auc_rows(rows, [0, 1])
    assert row.estimate is not None
    assert row.estimate.value == 1
    assert row.estimate.n == 40


@pytest.mark.parametrize("right", [0.0, 1.0])
def test_what_did_not_grow_has_no_figure(right: float):
    high, cluster = np.arange(40) % 2 == 0, np.arange(40) // 2
    scored = [Scored("zone", "turned", "local error", high + 0.0, high, cluster)]
    rows = list(zone_rows([(np.full(40, right), cluster)], [scored], [0]))
    (auc,) = [row for row in rows if row.metric == "AUC"]
    assert (auc.estimate is None) == (right == 1.0)
    assert (auc.reason is None) == (right == 0.0)
