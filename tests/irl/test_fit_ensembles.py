"""Members fitted together: the same as one by one, whatever the company, with weights of draws."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from irl.config import Learning
from irl.losses import absolute, bradley_terry, pointwise
from irl.recovery.boosting import boosted
from irl.recovery.examples import Examples
from irl.recovery.fit import Aim, drawn_again, fit, hold_out
from irl.rewards.heads import Form, linear, mlp

TRUTH = torch.linspace(-1, 1, 8, dtype=torch.float64)


def pairs(n: int = 90, dtype: torch.dtype = torch.float64, seed: int = 0) -> Examples:
    generator = torch.Generator().manual_seed(seed)
    one, other = torch.randn(2, n, 8, generator=generator, dtype=torch.float64)
    better = (one @ TRUTH > other @ TRUTH)[:, None]
    chosen, rejected = torch.where(better, one, other), torch.where(better, other, one)
    return Examples.of_pairs(chosen.to(dtype), rejected.to(dtype), torch.arange(n) // 2)


def learning(**changes: object) -> Learning:
    given = {"seeds": (0, 1, 2), "epochs": 6, "penalties": (1e-3,), "prompts_per_step": 16}
    return Learning(**(given | changes))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "loss"), [(linear, pointwise), (mlp(6), bradley_terry), (mlp(6, 4), pointwise)]
)
def test_members_fitted_together_are_those_fitted_one_by_one(
    form: Form, loss: Callable[..., Tensor]
):
    aim = Aim(lambda _, scores: loss(scores))
    together = fit(pairs(), form, aim, learning(), bootstrap=True).head
    for member in range(3):
        alone = fit(pairs(), form, aim, learning(seeds=(member,)), bootstrap=True).head
        for ours, theirs in zip(together.parameters(), alone.parameters(), strict=True):
            assert ours.dtype == torch.float64
            torch.testing.assert_close(ours[member], theirs[0], rtol=0, atol=1e-9)


@pytest.mark.slow_extra
def test_in_single_precision_members_are_as_right_as_those_fitted_one_by_one():
    seen, fresh = pairs(400, torch.float32), pairs(2000, torch.float32, seed=3)
    aim, long = Aim(lambda _, scores: bradley_terry(scores)), learning(epochs=40, patience=40)
    together = fit(seen, mlp(16), aim, long, bootstrap=True).head
    for member in range(3):
        alone = fit(
            seen, mlp(16), aim, long.model_copy(update={"seeds": (member,)}), bootstrap=True
        ).head
        ours, theirs = together(fresh.features)[member], alone(fresh.features)[0]
        shares = [float((s[:2000] > s[2000:]).float().mean()) for s in (ours, theirs)]
        assert abs(shares[0] - shares[1]) <= 0.005


@pytest.mark.slow
def test_members_too_large_to_be_fitted_together_are_the_same(monkeypatch: pytest.MonkeyPatch):
    aim = Aim(lambda _, scores: bradley_terry(scores))
    together = fit(pairs(), mlp(6), aim, learning(patience=1), bootstrap=True)
    monkeypatch.setattr("irl.recovery.fit.LARGE", 0)
    apart = fit(pairs(), mlp(6), aim, learning(patience=1), bootstrap=True)
    for ours, theirs in zip(together.head.parameters(), apart.head.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-9)
    assert torch.equal(together.held_out, apart.held_out)
    torch.testing.assert_close(together.validation, apart.validation, equal_nan=True)


def test_bootstrap_weights_draw_the_prompts_that_are_not_held_out_with_replacement():
    seeds = tuple(range(200))
    held_out = torch.stack([hold_out(40, 0.2, seed) for seed in seeds])
    counts = drawn_again(held_out, seeds)
    assert (counts[held_out] == 0).all()
    assert (counts.sum(1) == 32).all()
    assert float(counts[~held_out].var()) == pytest.approx(31 / 32, abs=0.05)
    never = float((counts[~held_out] == 0).float().mean())
    assert never == pytest.approx((31 / 32) ** 32, abs=0.02)
    assert torch.equal(drawn_again(held_out[3:4], (3,))[0], counts[3])


def test_a_pair_of_weight_two_is_the_pair_given_twice():
    """Full batches and no validation share that differs: weights are repeated rows."""
    given, calm = pairs(30), learning(seeds=(0,), prompts_per_step=1000, epochs=4, patience=100)
    weighted = fit(given, linear, Aim(lambda _, s: bradley_terry(s)), calm, bootstrap=True)
    counts = drawn_again(hold_out(15, 0.2, 0)[None], (0,))[0]
    held = weighted.held_out[0]
    times = torch.where(held, 1, counts[given.clusters].long())
    chosen, rejected = given.features[:30], given.features[30:]
    weight = torch.zeros(8, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([weight], lr=calm.learning_rate)
    best = (float("inf"), weight.detach().clone())
    rows = torch.arange(30).repeat_interleave(times)
    rows = rows[~held[rows]]
    for _ in range(5):
        losses = torch.nn.functional.softplus(-(chosen - rejected) @ weight)
        judged = float(losses[held].detach().mean())
        if judged < best[0]:
            best = (judged, weight.detach().clone())
        optimiser.zero_grad()
        (losses[rows].mean() + 1e-3 * weight.square().sum()).backward()
        optimiser.step()
    torch.testing.assert_close(weighted.head.weights[0][0, :, 0], best[1])


@pytest.mark.slow
def test_members_differ_by_what_they_drew_even_where_the_optimum_is_one():
    aim = Aim(lambda _, scores: bradley_terry(scores))
    head = fit(pairs(), linear, aim, learning(epochs=30), bootstrap=True).head
    assert float(head(pairs(seed=5).features).detach().std(0).mean()) > 0.01


def test_classification_knows_where_zero_is_and_the_other_losses_do_not():
    batch = pairs(20).batch(torch.arange(20))
    scores = batch.features @ TRUTH[:, None]
    sides, moved = batch.sides(scores.T), batch.sides(scores.T + 3)
    for loss in (bradley_terry, absolute):
        torch.testing.assert_close(loss(sides), loss(moved))
    assert (pointwise(moved) - pointwise(sides)).abs().max() > 1
    chosen, rejected = sides.aligned[0, :, 0], sides.reference[0, :, 0]
    by_hand = (torch.log1p((-chosen).exp()) + torch.log1p(rejected.exp())) / 2
    torch.testing.assert_close(pointwise(sides)[0], by_hand)


@pytest.mark.slow
@pytest.mark.parametrize("classified", [False, True])
def test_boosted_trees_learn_the_order_and_differ_by_their_draws(classified: bool):
    pytest.importorskip("lightgbm")
    seen, fresh = pairs(600, torch.float32), pairs(400, torch.float32, seed=7)
    found, _ = boosted(seen, learning(epochs=60), pointwise=classified, bootstrap=True)
    scores = found(fresh.features)
    assert float((scores[:, :400] > scores[:, 400:]).float().mean()) > 0.75
    assert float((scores[0] - scores[1]).abs().max()) > 0.01
