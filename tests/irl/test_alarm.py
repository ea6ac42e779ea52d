"""Warnings of over-optimisation: what each sees, and what it leaves alone."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from irl.rlhf.alarm import RANGE, warned
from irl.rlhf.watch import Baseline, Look

BASELINE = Baseline(length_tokens=10.0, entropy_nats=20.0, proxy_sd=1.0)
N = 40
NOISE = np.random.default_rng(0).normal(0, 0.3, (6, N))


def look(step: int, proxy: float, *members: float, gold: float | None = None) -> Look:
    """Gains with the same noise over prompts at every look."""
    rows = np.array(members or (proxy,))[:, None] + NOISE[1 : 1 + max(len(members), 1)]
    known = None if gold is None else gold + NOISE[5]
    flat = np.ones(N)
    return Look(step, proxy + NOISE[0], rows, known, flat, 20 * flat, 10 * flat)


def codes(*looks: Look) -> list[str]:
    return [one.code for one in warned(looks, BASELINE)]


def test_a_policy_that_gains_with_all_its_members_is_left_alone():
    looks = [look(at, 0.3 * at, 0.3 * at, 0.29 * at, 0.28 * at, gold=0.2 * at) for at in range(10)]
    assert [codes(*looks[: at + 1]) for at in range(10)] == [[]] * 10


def test_gold_that_falls_while_the_reward_rises_is_seen_and_its_peak_named():
    looks = [look(at, float(at), gold=value) for at, value in enumerate([0.0, 0.6, 1.0, 0.5])]
    (found,) = warned(looks, BASELINE)
    assert (found.step, found.code) == (3, "gold-falls")
    assert "step 2" in found.text
    fallen = [*looks[:3], look(3, 1.0, gold=0.5)]
    assert codes(*fallen) == [], "the reward fell too: nothing is optimised against gold"


def test_a_fall_within_the_noise_of_prompts_is_none():
    generator = np.random.default_rng(1)
    looks = [
        replace(one, gold=0.5 + generator.normal(0, 1, N))
        for one in (look(at, float(at) / 10, gold=0.5) for at in range(12))
    ]
    assert not any(codes(*looks[: at + 1]) for at in range(1, 12))


def test_members_that_fall_while_the_reward_rises_are_seen():
    rising = [look(at, float(at), float(at), float(at), float(at), float(at)) for at in range(3)]
    last = look(3, 2.1, 2.1, 1.6, 1.7, 1.65)
    assert codes(*rising, last) == ["members-fall"]
    assert codes(*rising, replace(last, members=last.members[:1])) == [], "one alone says nothing"


def test_members_that_do_not_follow_are_seen_once_the_reward_moved():
    assert codes(look(1, 1.0, 1.0, 0.9, 0.9, 0.8)) == []
    assert codes(look(1, 1.0, 1.0, 0.9, 0.4, 0.3)) == ["members-apart"]
    assert codes(look(1, 0.2, 0.2, 0.1, 0.0, 0.0)) == [], "too early to tell"


def test_a_reward_beyond_the_range_of_the_references_answers_is_seen():
    assert codes(look(0, 0.0), look(1, RANGE - 0.2)) == []
    assert codes(look(0, 0.0), look(1, RANGE + 0.2)) == ["out-of-range"]


@pytest.mark.parametrize(("factor", "wanted"), [(0.4, 1), (0.6, 0), (1.9, 0), (2.1, 1)])
def test_answers_of_another_length_are_seen(factor: float, wanted: int):
    one = look(1, 0.5)
    found = codes(look(0, 0.0), replace(one, length_tokens=one.length_tokens * factor))
    assert found == ["length-drift"] * wanted


def test_answers_without_choice_are_seen():
    one = look(1, 0.5)
    assert codes(replace(one, entropy_nats=one.entropy_nats * 0.2)) == ["entropy-collapse"]


def test_the_same_looks_give_the_same_warnings():
    looks = [look(at, float(at), gold=value) for at, value in enumerate([0.0, 1.0, 0.9])]
    assert warned(looks, BASELINE, 3) == warned(looks, BASELINE, 3)


def test_draws_are_of_prompts(monkeypatch: pytest.MonkeyPatch):
    """A fall that one prompt alone carries does not hold when prompts are drawn again."""
    gold: NDArray[np.float64] = np.zeros(N)
    gold[0] = -30.0
    looks = [look(0, 0.0, gold=0.0), replace(look(1, 1.0), gold=gold)]
    assert looks[1].gold is not None
    assert looks[1].gold.mean() < -0.7
    assert codes(*looks) == []
