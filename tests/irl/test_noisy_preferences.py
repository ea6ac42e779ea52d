"""Wrong labels: what they do to each loss, and which they are."""

import pytest
import torch
from torch import Tensor

from irl.config import Learning
from irl.recovery.bradley_terry import by_absolute, by_generalised, by_pairs
from irl.recovery.examples import Examples
from irl.recovery.methods import Method
from irl.recovery.suspects import agreement, suspects
from irl.rewards.heads import linear

pytestmark = pytest.mark.slow
TRUTH = torch.tensor([2.0, -1.5, 1.0, -0.5, 0.0, 0.0, 0.0, 0.0])
LEARNING = Learning(
    seeds=tuple(range(8)),
    epochs=60,
    penalties=(1e-3, 1e-2),
    prompts_per_step=64,
    learning_rate=0.05,
)


def pairs(flips: float, n: int = 600, seed: int = 0) -> tuple[Examples, Tensor]:
    """Pairs labelled by the true reward, some of them the wrong way; three to a prompt."""
    generator = torch.Generator().manual_seed(seed)
    one, other = torch.randn(2, n, 8, generator=generator)
    better = (one @ TRUTH > other @ TRUTH)[:, None]
    wrong = torch.rand(n, generator=generator) < flips
    first = better ^ wrong[:, None]
    chosen, rejected = torch.where(first, one, other), torch.where(first, other, one)
    return Examples.of_pairs(chosen, rejected, torch.arange(n) // 3), wrong


def accuracy(method: Method, flips: float) -> float:
    data, _ = pairs(flips)
    fresh = torch.randn(2, 4000, 8, generator=torch.Generator().manual_seed(9))
    scores = method(data, linear, LEARNING).head(fresh.flatten(0, 1)).unflatten(1, (2, 4000))
    right = (scores[:, 0] > scores[:, 1]) == (fresh[0] @ TRUTH > fresh[1] @ TRUTH)
    return float(right.float().mean())


def test_pairs_are_compared_with_themselves_and_held_out_with_their_prompt():
    data, _ = pairs(0.0, n=30)
    batch = data.batch(torch.tensor([4, 7]))
    sides = batch.sides(batch.features[:, :1].T)
    chosen, rejected = data.features[:30, 0], data.features[30:, 0]
    assert torch.equal(sides.margins[0, :, 0, 0], (chosen - rejected)[[4, 7]])
    fitted = by_pairs(data, linear, LEARNING)
    by_prompt = fitted.held_out.view(8, 10, 3)
    assert (by_prompt.all(-1) | ~by_prompt.any(-1)).all()
    assert (by_prompt.any(-1).sum(1) == 2).all()


@pytest.mark.parametrize("method", [by_pairs, by_absolute, by_generalised])
def test_without_noise_every_loss_finds_the_order(method: Method):
    assert accuracy(method, 0.0) > 0.95


def test_a_bounded_loss_keeps_more_of_the_order_under_wrong_labels():
    plain, bounded = accuracy(by_pairs, 0.3), accuracy(by_absolute, 0.3)
    assert plain > 0.8
    assert bounded > plain + 0.02


def test_wrong_labels_are_the_ones_that_are_suspected():
    data, wrong = pairs(0.1)
    fitted = by_pairs(data, linear, LEARNING)
    n = int(wrong.sum())
    found = suspects(fitted, data, n)
    assert float(wrong[found].float().mean()) > 0.7
    assert float(wrong.float().mean()) < 0.15


def test_agreement_is_that_of_members_that_never_saw_the_pair():
    data, _ = pairs(0.2, n=60)
    fitted = by_pairs(data, linear, LEARNING.model_copy(update={"seeds": (0, 1)}))
    found = agreement(fitted, data)
    margins = fitted.head(data.features).detach()
    margins = margins[:, :60] - margins[:, 60:]
    for at in range(60):
        held = [m for m in range(2) if fitted.held_out[m, at]]
        if held:
            mean = torch.stack([torch.sigmoid(margins[m, at]) for m in held]).mean()
            assert torch.isclose(found[at], mean)
        else:
            assert found[at].isnan()
    assert not found[suspects(fitted, data, 5)].isnan().any()
