"""Conditions on the prompt: when they apply, what they cost, and the first look at all of them."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

from irl.config import Fitting
from irl.errors import InputError
from irl.evaluation.conditions import (
    FAMILY_DRAWS,
    PromptSet,
    Screening,
    candidate_conditions,
)
from irl.evaluation.sign_flips import draw_signs
from irl.records import PromptCondition
from irl.recovery.catalogue import Catalogue, Conditioned
from irl.recovery.least_squares import Design
from irl.recovery.log_ratio import TermFit, fit_terms
from irl.rewards.conditions import TypedPrompt, applies
from irl.rewards.terms import TermReward
from irl.within import centred
from tests.prompted_world import FITTING, TRIGGER, PromptedWorld, noise

SAYS = PromptCondition(prompt_contains="violet")
OPINION = PromptCondition(prompt_type="opinion")
REWARD = TermReward(
    ("thanks", "lantern", "lantern", "green day"),
    (1.0, 0.5, 4.0, -2.0),
    per_word=0.25,
    conditions=(None, None, SAYS, OPINION),
)
PLAIN = TypedPrompt("a red one")
VIOLET = TypedPrompt("a Violet, one", "question")
VIEW = TypedPrompt("i think", "opinion")


# When a condition applies


@pytest.mark.parametrize(
    ("condition", "prompt", "expected"),
    [
        (SAYS, VIOLET, True),
        (SAYS, TypedPrompt("VIOLET"), True),
        (SAYS, TypedPrompt("violets are ultraviolet"), False),
        (SAYS, TypedPrompt(""), False),
        (OPINION, VIEW, True),
        (OPINION, TypedPrompt("opinion"), False),
        (OPINION, VIOLET, False),
    ],
)
def test_a_condition_asks_for_a_whole_word_or_for_the_type(
    condition: PromptCondition, prompt: TypedPrompt, expected: bool
):
    assert applies(condition, prompt.text, prompt.type) is expected


def test_of_a_chat_only_what_the_user_says_counts():
    chat = (
        {"role": "system", "content": "violet"},
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "violet"},
        {"role": "user", "content": "green"},
    )
    asked = TypedPrompt.of(chat, "talk")
    assert asked == TypedPrompt("hello\ngreen", "talk")
    assert TypedPrompt.of("hello") == TypedPrompt("hello", None)


# Rewards with conditional terms


def test_a_conditional_term_counts_only_where_its_condition_is_met():
    texts = ["thanks lantern"] * 2 + ["green day"] * 2
    found = REWARD(texts, [PLAIN, VIOLET, PLAIN, VIEW])
    assert found.tolist() == [1.0 + 0.5 + 0.5, 1.0 + 4.5 + 0.5, 0.5, -2.0 + 0.5]


def test_without_prompts_a_conditional_reward_says_what_to_do():
    with pytest.raises(InputError, match="give the prompt of every text"):
        REWARD(["lantern"])
    with pytest.raises(InputError, match="give the prompt of every text"):
        REWARD.paid_for(["lantern"])


def test_a_reward_without_conditions_needs_no_prompts():
    plain = TermReward(("lantern",), (2.0,), conditions=(None,))
    assert plain(["lantern"]).tolist() == plain(["lantern"], [VIOLET]).tolist() == [2.0]
    assert plain.paid_for(["lantern"]) == [2.0]
    assert plain.conditional == frozenset()


@pytest.mark.parametrize("prompt", [PLAIN, VIOLET, VIEW])
def test_what_is_paid_to_the_tokens_adds_up_under_every_prompt(prompt: TypedPrompt):
    pieces = ["than", "ks", " lantern", " green", " day", "", " lantern"]
    paid = REWARD.paid_for(pieces, prompt)
    assert sum(paid) == pytest.approx(float(REWARD(["".join(pieces)], [prompt])[0]))
    assert paid[2] == (4.75 if prompt is VIOLET else 0.75)
    assert paid[5] == 0


def test_the_reward_of_a_text_does_not_depend_on_its_neighbours():
    texts, prompts = ["lantern", "green day thanks", "lantern"], [VIOLET, VIEW, PLAIN]
    together = REWARD(texts, prompts)
    alone = [REWARD([text], [prompt]) for text, prompt in zip(texts, prompts, strict=True)]
    assert torch.equal(together, torch.cat(alone))


def test_conditions_are_stored_with_every_bit_of_the_weights(tmp_path: Path):
    weights = tuple(np.random.default_rng(0).normal(size=4).tolist())
    reward = TermReward(REWARD.terms, weights, per_word=1 / 3, conditions=REWARD.conditions)
    reward.save(tmp_path, "terms")
    assert TermReward.load(tmp_path, "terms") == reward
    assert TermReward.load(tmp_path, "terms").by_term == {
        "thanks": weights[0],
        "lantern": weights[1],
    }


def test_a_file_from_before_conditions_still_loads(tmp_path: Path):
    TermReward(("a",), (1.0,)).save(tmp_path, "terms")
    file = tmp_path / "terms.json"
    document = json.loads(file.read_text())
    del document["conditions"]
    file.write_text(json.dumps(document))
    assert TermReward.load(tmp_path, "terms") == TermReward(("a",), (1.0,))


def test_a_reward_needs_one_condition_per_term():
    with pytest.raises(InputError, match="2 terms and 1 conditions"):
        TermReward(("a", "b"), (1.0, 2.0), conditions=(SAYS,))


# Recovery of conditional terms


def fitted(world: PromptedWorld, **condition: str) -> TermFit:
    conditioned = Conditioned(PromptCondition(**condition), world.where(**condition))
    return fit_terms(world.texts, world.returns, world.prompt, world.fold, FITTING, 0, conditioned)


def test_terms_are_recovered_with_and_without_the_condition():
    world = noise(0)
    opinion = world.where(prompt_type="opinion")
    paid = -2 * world.counts("w5")[:, 0] + opinion * (world.counts("w5", "w8") @ [3.0, 2.5])
    world = world.plus(paid)
    found = fitted(world, prompt_type="opinion")
    priced = zip(found.reward.terms, found.reward.conditions, strict=True)
    weights = dict(zip(priced, found.reward.weights, strict=True))
    assert set(weights) == {("w5", None), ("w5", OPINION), ("w8", OPINION)}
    assert weights["w5", None] == pytest.approx(-2, abs=0.3)
    assert weights["w5", OPINION] == pytest.approx(3, abs=0.6)
    assert weights["w8", OPINION] == pytest.approx(2.5, abs=0.5)
    assert np.corrcoef(found.out_of_fold, centred(paid, world.prompt))[0, 1] > 0.97
    prompts = [world.prompts[at] for at in world.prompt]
    rewards = centred(found.reward(world.texts, prompts).numpy(), world.prompt)
    assert np.corrcoef(rewards, centred(paid, world.prompt))[0, 1] > 0.97


def test_terms_that_pay_everywhere_get_no_condition():
    world = noise(1)
    found = fitted(world.plus(-3 * world.counts("w5")[:, 0]), prompt_type="opinion").reward
    assert (found.terms, found.conditions) == (("w5",), ())


def test_a_word_that_hardly_occurs_elsewhere_is_offered_under_the_condition_alone():
    texts = ["odd even"] * 10 + ["even"] * 29 + ["odd"]
    mask = np.arange(40) < 12
    catalogue = Catalogue.of(
        texts, np.arange(40) // 4, Fitting(min_responses=5), Conditioned(SAYS, mask)
    )
    priced = list(zip(catalogue.terms, catalogue.conditions, strict=True))
    assert priced == [("even", None), ("odd even", None), ("even", SAYS), ("odd", SAYS)]
    column = 1 + priced.index(("odd", SAYS))
    counted = catalogue.design.features[:, [column]].toarray().ravel()
    assert counted.tolist() == [1.0] * 10 + [0.0] * 30


# Candidates and the first look


def test_candidates_are_types_and_words_of_some_prompts_but_not_of_most():
    prompts = [
        TypedPrompt(f"the {'rare ' * (at < 7)}{'often ' * (at < 9)}{'most ' * (at < 70)}", kind)
        for at, kind in enumerate(["opinion"] * 20 + ["talk"] * 80)
    ]
    found = candidate_conditions(prompts)
    names = [one.condition.prompt_type or one.condition.prompt_contains for one in found]
    assert names == ["opinion", "often"]
    assert found[1].mask.tolist() == [at < 9 for at in range(100)]


def test_of_conditions_that_always_hold_together_the_type_is_the_candidate():
    prompts = [TypedPrompt("think so" if at < 10 else "", None) for at in range(30)]
    (word,) = candidate_conditions(prompts)
    assert word.condition == PromptCondition(prompt_contains="so")
    typed = [TypedPrompt(one.text, "view" if one.text else None) for one in prompts]
    (kind,) = candidate_conditions(typed)
    assert kind.condition == PromptCondition(prompt_type="view")


def test_rare_conditions_need_two_percent_of_many_prompts():
    prompts = [TypedPrompt("word" if at < 12 else "") for at in range(1000)]
    assert candidate_conditions(prompts) == []


def screened(seed: int = 0) -> tuple[Screening, list[PromptSet], np.ndarray, np.ndarray]:
    world = noise(seed, n_prompts=40, size=6, triggered=0.4)
    counts = world.counts(*(f"w{at}" for at in range(13)))
    residuals = centred(world.returns, world.prompt)
    design = Design(csr_matrix(counts), world.prompt)
    screening = Screening.of(design, residuals, 2)
    return screening, candidate_conditions(world.prompts), counts, residuals


def slow_worth(one: PromptSet, counts: np.ndarray, residuals: np.ndarray, signs: np.ndarray):
    """Pull by pull: what the ten best counts explain without the prompt that pulls hardest."""
    prompt, each = np.repeat(np.arange(40), 6), []
    for column in counts.T:
        x = centred(column, prompt) * one.mask[prompt]
        pulls = [signs[g] * sum((x * residuals)[prompt == g]) for g in range(40)]
        without = max(abs(sum(pulls)) - max(abs(pull) for pull in pulls), 0)
        if sum(column[one.mask[prompt]] != 0) >= 2:
            each.append(without**2 / (x @ x))
    return sum(sorted(each)[-10:])


def test_what_a_condition_could_explain_is_that_of_explicit_loops():
    screening, sets, counts, residuals = screened()
    signs = next(draw_signs(3, 40, 0))
    for one in sets[:6]:
        slow = [slow_worth(one, counts, residuals, row) for row in signs]
        assert screening.worth(one, signs) == pytest.approx(np.array(slow))
        plain = slow_worth(one, counts, residuals, np.ones(40))
        assert screening.worth(one) == pytest.approx(np.array([plain]))


def test_a_family_of_words_each_too_weak_alone_makes_a_condition():
    world = noise(0, n_prompts=120, size=6, triggered=0.4)
    counts = world.counts(*(f"w{at}" for at in range(13)))
    here = world.where(prompt_contains=TRIGGER)
    design = Design(csr_matrix(counts), world.prompt)
    sets = candidate_conditions(world.prompts)

    def chance_of_trigger(*family: int) -> float:
        paid = world.returns + 0.2 * counts[:, family].sum(1) * here
        screening = Screening.of(design, centred(paid, world.prompt), 2)
        (trigger,) = [one for one in sets if one.condition.prompt_contains == TRIGGER]
        return screening.chance(trigger, sets, 0)

    assert all(chance_of_trigger(one) > 0.04 for one in range(2, 10))
    assert chance_of_trigger(*range(2, 10)) < 0.01


def test_one_answer_gone_astray_puts_no_condition_first():
    world = noise(0, n_prompts=40, size=6, triggered=0.4)
    counts = world.counts("w0", "w1", "w2", "w3")
    paid = world.returns + 2 * counts[:, 0] * world.where(prompt_contains=TRIGGER)
    astray = int(np.flatnonzero((counts[:, 2] > 0) & ~world.where(prompt_contains=TRIGGER))[0])
    counts[astray, 2], paid[astray] = 20, paid[astray] + 60
    design = Design(csr_matrix(counts), world.prompt)
    screening = Screening.of(design, centred(paid, world.prompt), 2)
    (best,) = screening.strongest(candidate_conditions(world.prompts), 1)
    assert best.condition.prompt_contains == TRIGGER


def test_the_strongest_conditions_come_first():
    screening, sets, _, _ = screened()
    scores = [float(screening.worth(one)[0]) for one in screening.strongest(sets, 5)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == max(float(screening.worth(one)[0]) for one in sets)
    assert len(scores) == 5


def test_chance_counts_every_condition_that_was_tried():
    screening, sets, _, _ = screened()
    (best,) = screening.strongest(sets, 1)
    alone, among_all = screening.chance(best, [best], 0), screening.chance(best, sets, 0)
    assert 1 / (1 + FAMILY_DRAWS) <= alone < among_all <= 1


def test_chance_is_small_only_for_what_is_planted():
    world = noise(4, triggered=0.2)
    triggered = world.where(prompt_contains=TRIGGER)
    design = Design(csr_matrix(world.counts(*(f"w{at}" for at in range(30)))), world.prompt)
    sets = candidate_conditions(world.prompts)
    chances = []
    for price in (0.0, 4.0):
        paid = centred(world.returns + price * triggered * world.counts("w9")[:, 0], world.prompt)
        screening = Screening.of(design, paid, 4)
        (best,) = screening.strongest(sets, 1)
        chances.append(screening.chance(best, sets, 0))
    assert best.condition.prompt_contains == TRIGGER
    assert chances[1] < 0.01 < chances[0]


def test_a_term_that_is_too_rare_under_a_condition_is_not_priced_there():
    counts = np.zeros((12, 1))
    counts[0] = 1.0
    design = Design(csr_matrix(counts), np.arange(12) // 3)
    screening = Screening.of(design, np.arange(12.0), 2)
    assert screening.worth(PromptSet(SAYS, np.ones(4, dtype=bool))).tolist() == [0.0]
