"""Spillover: none where only paid words move, whatever the scale and the constants of prompts."""

import numpy as np
import pytest

from irl.evaluation.signs import Spoken, entropy_lost, signs_of
from irl.evaluation.spillover import Priced, Spillover, spillover
from irl.records import Estimate, Objective, PromptCondition
from irl.rewards.conditions import TypedPrompt
from irl.rewards.terms import TermReward

PROMPTS, ANSWERS = 60, 10


def world(seed: int = 0):
    """Counts of two paid words, one companion and the length; prompts and folds."""
    rng = np.random.default_rng(seed)
    n = PROMPTS * ANSWERS
    prompt = np.repeat(np.arange(PROMPTS), ANSWERS)
    paid = rng.poisson(0.5, size=(n, 2)).astype(float)
    company = rng.poisson(1.5, size=(n, 1)).astype(float)
    length = paid.sum(1, keepdims=True) + company + rng.poisson(5, size=(n, 1))
    return np.hstack([paid, company, length]), prompt, prompt % 5, rng


PRICED = Priced(np.array([True, True, False, False]), 2.0)


def measured(y: np.ndarray, seed: int = 0) -> Spillover:
    features, prompt, fold, _ = world(seed)
    return spillover(features, y, prompt, fold, PRICED)


def value(estimate: Estimate | None) -> float:
    assert estimate is not None
    return estimate.value


def test_where_only_paid_words_move_nothing_spills_over():
    features, prompt, _, rng = world()
    noise = rng.normal(size=len(prompt))
    found = measured(features[:, :2].sum(1) * -2.0 + 0.3 * noise)
    assert value(found.share) < 0.005
    assert value(found.order_agreement) > 0.99


def test_the_share_is_that_of_the_companions_and_the_order_suffers():
    features, _, _, _ = world()
    y = features @ np.array([-2.0, -2.0, -0.8, 0.0])
    found = measured(y)
    # Poisson counts that know nothing of each other: their variances are their means.
    assert value(found.share) == pytest.approx(0.64 * 1.5 / (4 * 1.0 + 0.64 * 1.5), abs=0.03)
    assert value(found.order_agreement) < 0.97


def test_scale_and_constants_of_prompts_change_nothing():
    features, prompt, fold, rng = world()
    y = features @ np.array([-2.0, -1.5, -0.4, 0.02]) + rng.normal(size=len(prompt))
    moved = 3.0 * y + rng.normal(size=PROMPTS)[prompt]
    one = measured(y)
    other = spillover(features, moved, prompt, fold, Priced(PRICED.dear, 6.0))
    assert value(one.share) == pytest.approx(value(other.share), rel=1e-3)
    assert value(one.order_agreement) == pytest.approx(value(other.order_agreement), abs=1e-3)


def test_noise_alone_has_no_share_to_speak_of():
    _, prompt, _, rng = world()
    found = measured(rng.normal(size=len(prompt)))
    assert found.share is None or found.share.value >= 0.0


def weight(value: float) -> Estimate:
    return Estimate(value=value, low=value, high=value, n=9)


def objective(kind: str, terms: list[str], condition: PromptCondition | None = None) -> Objective:
    return Objective(
        kind=kind,  # type: ignore[arg-type]
        condition=condition,
        terms=terms,
        weight=weight(-1.0),
        explained_sd_nats=None,
    )


def test_dear_is_what_is_worth_half_of_what_is_named():
    reward = TermReward(("fool", "oaf", "you", "clown"), (-2.0, -1.8, -0.4, -1.2))
    priced = Priced.of(reward, [objective("term", ["fool", "oaf"])])
    assert priced is not None
    assert priced.price == pytest.approx(1.9)
    assert priced.dear.tolist() == [True, True, False, True, False]


def test_length_is_dear_where_it_is_an_objective():
    reward = TermReward(("fool",), (-0.3,), per_word=0.1)
    assert Priced.of(reward, []) is None
    alone = Priced.of(reward, [objective("length", [])])
    assert alone is not None
    assert (alone.dear.tolist(), alone.price) == ([False, True], 0.1)
    both = Priced.of(reward, [objective("term", ["fool"]), objective("length", [])])
    assert both is not None
    assert both.dear.tolist() == [True, True]


def test_a_term_is_named_under_its_own_condition_alone():
    where = PromptCondition(prompt_contains="moon")
    reward = TermReward(("fool", "fool"), (-0.2, -3.0), conditions=(None, where))
    priced = Priced.of(reward, [objective("conditional", ["fool"], where)])
    assert priced is not None
    assert priced.dear.tolist() == [False, True, False]
    asked = [TypedPrompt("the moon"), TypedPrompt("the sun")]
    assert reward.features(["fool fool"] * 2, asked).tolist() == [[2, 2, 2], [2, 0, 2]]


def test_the_features_of_a_reward_give_its_scores():
    reward = TermReward(("a b", "b"), (1.5, -0.5), per_word=0.25)
    texts = ["a b b", "b", ""]
    linear = reward.features(texts, [TypedPrompt("")] * 3) @ np.array([1.5, -0.5, 0.25])
    assert linear.tolist() == pytest.approx(reward(texts).tolist())


def spoken(own: list[float], aligned: list[bool], texts: list[str]) -> Spoken:
    n = len(own)
    prompt = np.arange(n) // 2
    asked = [TypedPrompt("the moon" if at % 4 < 2 else "the sun") for at in range(n)]
    return Spoken(
        texts,
        asked,
        np.array([float(text.count("fool")) for text in texts]),
        np.array(own),
        np.full(n, 5.0),
        np.array(aligned),
        prompt,
        prompt % 3,
    )


def test_entropy_is_that_of_each_policys_own_answers():
    given = spoken([-5.0, -15.0] * 4, [True, False] * 4, [""] * 8)
    assert value(entropy_lost(given)) == pytest.approx(1 - 1 / 3)


def test_spillover_is_measured_where_the_first_objective_applies():
    where = PromptCondition(prompt_contains="moon")
    texts = ["fool", "", "you", "fool fool"] * 6
    given = spoken([-5.0, -6.0] * 12, [True, False] * 12, texts)
    reward = TermReward(("fool",), (1.0,), conditions=(where,))
    found = signs_of(given, [objective("conditional", ["fool"], where)], reward)
    assert found.spillover is not None
    assert found.spillover.order_agreement == Estimate(value=1.0, low=1.0, high=1.0, n=6)
    assert signs_of(given, [], reward).spillover is None
