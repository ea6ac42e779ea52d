"""Distances between rewards: blind to what is not identified, and to nothing else."""

import math

import pytest
import torch
from torch import Tensor

from irl.distances import centred, centred_distance, correlation

PROMPT = torch.arange(6).repeat_interleave(5)


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_scale_and_constants_of_the_prompts_do_not_count():
    reward = drawn(0, 30)
    other = 2.5 * reward + 9 * drawn(1, 6)[PROMPT]
    assert float(centred_distance(reward, other, PROMPT)) == pytest.approx(0, abs=1e-7)
    plain = torch.corrcoef(torch.stack([reward, other]))[0, 1]
    assert math.sqrt((1 - float(plain)) / 2) > 0.2


def test_opposite_rewards_are_one_apart_and_unrelated_ones_the_root_of_a_half():
    reward = drawn(0, 30)
    assert float(centred_distance(reward, -reward, PROMPT)) == pytest.approx(1)
    many = torch.arange(2000).repeat_interleave(5)
    far = centred_distance(drawn(1, 10_000), drawn(2, 10_000), many)
    assert float(far) == pytest.approx(math.sqrt(0.5), abs=0.02)


def test_it_is_a_metric_on_centred_directions():
    one, two, three = drawn(0, 30), drawn(1, 30), drawn(2, 30)

    def d(x: Tensor, y: Tensor) -> float:
        return float(centred_distance(x, y, PROMPT))

    assert d(one, two) == pytest.approx(d(two, one))
    assert d(one, three) <= d(one, two) + d(two, three)


def test_centring_takes_the_mean_of_each_prompt():
    reward = drawn(0, 2, 30)
    for row in range(2):
        for number in range(6):
            here = reward[row, number == PROMPT]
            found = centred(reward, PROMPT)[row, number == PROMPT]
            assert torch.allclose(found, here - here.mean())


def test_weights_are_repetitions():
    first, second = drawn(0, 30), drawn(1, 30)
    times = torch.randint(1, 4, (30,), generator=torch.Generator().manual_seed(2))
    again = first.repeat_interleave(times), second.repeat_interleave(times)
    repeated = correlation(*again, PROMPT.repeat_interleave(times))
    weighted = correlation(first, second, PROMPT, times.double())
    assert torch.isclose(repeated, weighted)


def test_a_reward_that_is_constant_within_prompts_has_no_direction():
    assert correlation(drawn(0, 6)[PROMPT], drawn(1, 30), PROMPT).isnan()
