"""Prices of aspects: planted ones come back, and what is not told apart gets no number."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from explain.aspect_prices import MAX_RESIDUALS, Answered, Measured, Priced, price
from irl.bootstrap import from_sums, ratio
from irl.evaluation.fit import explained_r2
from irl.records import Aspect
from irl.within import centred

Array = NDArray[np.float64]
WEIGHTS = np.array([0.1, -2.0, 0.0])
NAMES = ("length", "insults", "numbers")


def planted(
    seed: int = 0, *, n_prompts: int = 60, per_side: int = 6, noise: float = 0.5
) -> tuple[Measured, Answered]:
    """Counts that depend on the prompt and the policy; a log-ratio that pays for the first two."""
    generator = np.random.default_rng(seed)
    prompt = np.repeat(np.arange(n_prompts), 2 * per_side)
    aligned = np.tile(np.arange(2 * per_side) < per_side, n_prompts)
    rates = np.array([18.0, 0.5, 0.3]) * generator.gamma(4.0, 0.25, size=(n_prompts, 3))
    changed = np.where(aligned[:, None], [1.1, 0.4, 1.0], 1.0)
    values = generator.poisson(rates[prompt] * changed).astype(float)
    constants = 20 * generator.normal(size=n_prompts)
    returns = values @ WEIGHTS + constants[prompt] + noise * generator.normal(size=len(prompt))
    ids = [f"r{at}" for at in range(len(prompt))]
    measured = Measured(NAMES, ("word", "occurrence", "number"), values)
    return measured, Answered(ids, returns, aligned, prompt, prompt % 5)


def of(priced: Priced, name: str) -> Aspect:
    (found,) = [one for one in priced.aspects if one.name == name]
    return found


def with_column(measured: Measured, name: str, column: Array) -> Measured:
    values = np.column_stack([measured.values, column])
    return Measured([*measured.names, name], [*measured.units, "unit"], values)


def test_the_value_is_least_squares_with_a_constant_for_each_prompt():
    measured, answered = planted()
    dummies = np.eye(60)[answered.prompt]
    slow = np.linalg.lstsq(np.hstack([measured.values, dummies]), answered.returns)[0][:3]
    found = [one.weight for one in price(measured, answered).aspects]
    assert found == pytest.approx(slow, rel=1e-4, abs=1e-4)


@pytest.mark.slow_extra
def test_planted_weights_lie_in_19_of_20_intervals():
    inside = np.zeros(3)
    worlds = 200
    for seed in range(worlds):
        priced = price(*planted(seed, n_prompts=30, per_side=3))
        ends = [(one.low, one.high) for one in priced.aspects]
        inside += [low <= w <= high for (low, high), w in zip(ends, WEIGHTS, strict=True)]
    assert (inside / worlds > 0.90).all(), inside / worlds
    assert (inside / worlds < 0.99).all(), inside / worlds


def test_without_noise_all_is_explained_and_the_weights_are_exact():
    priced = price(*planted(noise=0.0))
    assert [one.weight for one in priced.aspects] == pytest.approx(WEIGHTS, abs=1e-4)
    assert priced.r2 is not None
    assert priced.r2.value == pytest.approx(1, abs=1e-6)
    assert max(abs(row.residual_nats) for row in priced.residuals) < 1e-2


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.floats(0.1, 10.0))
def test_a_constant_of_each_prompt_changes_nothing_and_scale_scales(seed: int, scale: float):
    measured, answered = planted(seed, n_prompts=12)
    constants = np.random.default_rng(seed + 1).normal(size=12)
    moved = replace(answered, returns=scale * answered.returns + constants[answered.prompt])
    plain, other = price(measured, answered), price(measured, moved)
    for one, two in zip(plain.aspects, other.aspects, strict=True):
        assert two.status == one.status
        for key in ("weight", "low", "high"):
            if getattr(one, key) is not None:
                assert getattr(two, key) == pytest.approx(scale * getattr(one, key), abs=1e-6)
        if one.drop_one_r2 is not None:
            assert two.drop_one_r2.value == pytest.approx(one.drop_one_r2.value, abs=1e-6)
    assert other.r2.value == pytest.approx(plain.r2.value, abs=1e-6)


def test_the_unit_of_an_aspect_changes_its_weight_and_nothing_else():
    measured, answered = planted()
    hundredths = replace(measured, values=measured.values * [1, 100, 1])
    one, other = (of(price(m, answered), "insults") for m in (measured, hundredths))
    assert other.weight == pytest.approx(one.weight / 100)
    assert other.sd == pytest.approx(one.sd * 100)
    assert other.drop_one_r2.value == pytest.approx(one.drop_one_r2.value)


def test_r2_loses_much_without_what_is_paid_and_nothing_without_noise():
    measured, answered = planted()
    priced = price(measured, answered)
    assert of(priced, "insults").drop_one_r2.low > 0.3
    assert abs(of(priced, "numbers").drop_one_r2.value) < 0.01
    assert of(priced, "numbers").low < 0 < of(priced, "numbers").high


def test_hiding_a_paid_aspect_lowers_r2_by_what_dropping_it_said():
    measured, answered = planted()
    whole = price(measured, answered)
    kept = Measured(NAMES[::2], ("word", "number"), measured.values[:, ::2])
    hidden = price(kept, answered)
    assert hidden.r2.value < whole.r2.value - 0.3
    lost = of(whole, "insults").drop_one_r2.value
    assert whole.r2.value - hidden.r2.value == pytest.approx(lost, abs=1e-9)


def test_residuals_are_out_of_fold_and_name_what_nobody_declared():
    measured, answered = planted(noise=0.1)
    returns = answered.returns.copy()
    returns[[7, 100, 301]] += [9.0, -12.0, 7.0]
    residuals = price(measured, replace(answered, returns=returns)).residuals
    assert len(residuals) == MAX_RESIDUALS
    assert [row.response_id for row in residuals[:3]] == ["r100", "r7", "r301"]
    sizes = [abs(row.residual_nats) for row in residuals]
    assert sizes == sorted(sizes, reverse=True)


def test_r2_and_what_it_loses_are_the_shares_of_a_slow_cross_fit():
    measured, answered = planted(n_prompts=20)
    y = centred(answered.returns, answered.prompt)
    x = np.stack([centred(column, answered.prompt) for column in measured.values.T], axis=1)

    def predicted(columns: list[int]) -> Array:
        found = np.zeros(len(y))
        for fold in range(5):
            inside = answered.fold == fold
            weights = np.linalg.lstsq(x[~inside][:, columns], y[~inside])[0]
            found[inside] = x[inside][:, columns] @ weights
        return found

    whole = predicted([0, 1, 2])
    priced = price(measured, answered, seed=3)
    slow = explained_r2(whole, y, answered.prompt, seed=3)
    assert priced.r2.model_dump() == pytest.approx(slow.model_dump(), abs=1e-4)
    without = predicted([0, 2])
    columns = np.stack([(y - without) ** 2 - (y - whole) ** 2, y * y], axis=1)
    lost = from_sums(columns, answered.prompt, ratio, seed=3)
    found = of(priced, "insults").drop_one_r2
    assert found.model_dump() == pytest.approx(lost.model_dump(), abs=1e-4)


def test_rates_are_means_of_a_response_of_either_policy():
    measured, answered = planted()
    one = of(price(measured, answered), "insults")
    assert one.aligned_rate == measured.values[answered.aligned, 1].mean()
    assert one.reference_rate == measured.values[~answered.aligned, 1].mean()
    assert one.aligned_rate < one.reference_rate


def test_what_never_varies_within_a_prompt_is_constant():
    measured, answered = planted()
    length = 0.1 * answered.prompt.astype(float)
    one = of(price(with_column(measured, "of the prompt", length), answered), "of the prompt")
    assert (one.status, one.weight, one.drop_one_r2, one.sd) == ("constant", None, None, 0.0)


def test_what_two_prompts_decide_is_rare():
    measured, answered = planted()
    seldom = np.zeros(len(answered.prompt))
    seldom[[0, 13]] = 1
    one = of(price(with_column(measured, "seldom", seldom), answered), "seldom")
    assert (one.status, one.weight, one.low) == ("rare", None, None)


@pytest.mark.parametrize("coefficients", [[1, 0, 0], [0, -2, 0], [1, 2, 0], [0.2, -2, 2]], ids=str)
def test_an_aspect_that_others_make_up_is_named_with_them(coefficients: list[float]):
    measured, answered = planted()
    alone = price(measured, answered)
    copy = with_column(measured, "copy", measured.values @ coefficients)
    priced = price(copy, answered)
    makers = [name for name, w in zip(NAMES, coefficients, strict=True) if w]
    assert (of(priced, "copy").status, of(priced, "copy").weight) == ("tied", None)
    assert of(priced, "copy").tied_to == makers
    for one in alone.aspects:
        assert of(priced, one.name).weight == one.weight, "the price is that of both"
        assert of(priced, one.name).tied_to == (["copy"] if one.name in makers else [])
    assert priced.r2 == alone.r2


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 3), st.integers(1, 8))
def test_no_number_is_wild_however_few_the_answers(
    seed: int, n_prompts: int, per_side: int, n_aspects: int
):
    """Fewer answers than aspects, or one prompt only: a price is small, or there is none."""
    generator = np.random.default_rng(seed)
    _, answered = planted(seed, n_prompts=n_prompts, per_side=per_side)
    values = generator.integers(0, 2, size=(len(answered.prompt), n_aspects)).astype(float)
    names = [f"a{at}" for at in range(n_aspects)]
    priced = price(Measured(names, names, values), answered)
    largest = np.ptp(answered.returns)
    for one in priced.aspects:
        assert (one.weight is None) == (one.status != "priced")
        if one.weight is not None:
            assert one.low <= one.weight <= one.high
            assert abs(one.weight) <= 100 * largest
    if n_prompts == 1:
        assert priced.r2 is None
        assert {one.status for one in priced.aspects} <= {"constant", "rare"}


def test_a_log_ratio_that_never_varies_is_priced_at_0_and_has_no_r2():
    measured, answered = planted()
    priced = price(measured, replace(answered, returns=np.zeros(len(answered.prompt))))
    assert [one.weight for one in priced.aspects] == [0, 0, 0]
    assert (priced.r2, priced.residuals) == (None, [])


def test_a_draw_of_prompts_that_do_not_vary_is_left_out():
    measured, answered = planted(n_prompts=4)
    still = np.where(answered.prompt < 3, 0.0, answered.returns)
    priced = price(measured, replace(answered, returns=still))
    assert priced.r2 is not None
    assert np.isfinite([priced.r2.low, priced.r2.high]).all()


def test_where_all_prompts_share_a_fold_nothing_is_out_of_fold():
    measured, answered = planted()
    priced = price(measured, replace(answered, fold=np.zeros_like(answered.prompt)))
    assert (priced.r2, priced.residuals) == (None, [])
    assert of(priced, "insults").weight == pytest.approx(-2, abs=0.2)
    assert of(priced, "insults").drop_one_r2 is None
