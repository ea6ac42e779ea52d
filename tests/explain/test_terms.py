"""What a term reward says: paid, merely changed, and the plain token means for contrast."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from explain.terms import Said, changed_terms, paid_terms, price_per_word, token_means
from irl.config import Fitting
from irl.records import PromptCondition
from irl.recovery.log_ratio import TermFit
from irl.rewards.conditions import TypedPrompt
from irl.rewards.terms import TermReward

Array = NDArray[np.float64]
FITTING = Fitting(min_responses=4)


def test_token_means_average_the_tokens_of_the_term_alone():
    pieces = [["you", " stu", "pid", " idea", ""], ["you", ".", " you"]]
    log_ratios = [np.array([-2.0, -0.5, 0.25, 1.0, 9.0]), np.array([-4.0, 5.0, -3.0])]
    found = token_means(["you", "stupid", "stupid idea", "absent"], pieces, log_ratios)
    assert found == {
        "you": (-2.0 - 4.0 - 3.0) / 3,
        "stupid": (-0.5 + 0.25) / 2,
        "stupid idea": (-0.5 + 0.25 + 1.0) / 3,
    }
    assert token_means([], pieces, log_ratios) == {}


def fitted(
    weights: dict[str, tuple[float, float]], per_word: tuple[float, float] = (0.0, 0.0)
) -> TermFit:
    """A fit with the given weights and standard deviations of their draws."""
    normal = np.random.default_rng(0).normal(size=(4000, len(weights) + 1))
    centre, sd = np.array([*weights.values(), per_word]).T
    reward = TermReward(tuple(weights), tuple(centre[:-1].tolist()), per_word=per_word[0])
    nothing = np.zeros(3)
    return TermFit(reward, centre + sd * normal, nothing, nothing, nothing)


def described(weights: dict[str, tuple[float, float]]) -> list[str]:
    texts = ["you fool", "you day", "rare day day"]
    pieces = [text.split(" ") for text in texts]
    rows = [np.zeros(len(row)) for row in pieces]
    return [term.term for term in paid_terms(fitted(weights), Said(texts, pieces, rows))]


def test_terms_stand_by_the_end_of_the_interval_that_is_nearest_to_0():
    """rare: -6 +- 5 is certain of 1 nat only; fool: -3 +- 0.2 of 2.8, day: +2 +- 0.2 of 1.8."""
    weights = {"rare": (-6.0, 2.5), "day": (2.0, 0.1), "fool": (-3.0, 0.1)}
    assert described(weights) == ["fool", "day", "rare"]


def test_terms_whose_interval_holds_0_are_left_out():
    assert described({"you": (1.0, 0.6), "day": (-1.0, 0.6), "fool": (1.0, 0.4)}) == ["fool"]
    assert described({}) == []


def test_a_term_is_described_with_its_interval_its_occurrences_and_its_token_mean():
    texts, pieces = ["you fool", "you day", "day"], [["you", " fool"], ["you", " day"], ["day"]]
    rows = [np.array([-1.0, 0.5]), np.array([-3.0, 0.0]), np.array([0.0])]
    (term,) = paid_terms(fitted({"you": (-1.5, 0.1)}), Said(texts, pieces, rows))
    assert (term.term, term.weight, term.occurrences) == ("you", -1.5, 2)
    assert (term.low, term.high) == pytest.approx((-1.5 - 0.196, -1.5 + 0.196), abs=0.02)
    assert term.token_mean_nats == -2.0
    assert term.condition is None


def test_a_conditional_term_is_counted_only_where_its_condition_is_met():
    says = PromptCondition(prompt_contains="violet")
    fit = fitted({"you": (-1.5, 0.1), "day": (2.0, 0.1)})
    reward = TermReward(("you", "you"), (-1.5, 2.0), conditions=(None, says))
    texts, pieces = ["you you", "you day", "day"], [["you", " you"], ["you", " day"], ["day"]]
    rows = [np.array([-1.0, -3.0]), np.array([-5.0, 0.0]), np.array([0.0])]
    asked = [TypedPrompt("violet"), TypedPrompt("red"), TypedPrompt("violet")]
    under, plain = paid_terms(replace(fit, reward=reward), Said(texts, pieces, rows, asked))
    assert (plain.condition, plain.occurrences, plain.token_mean_nats) == (None, 3, -3.0)
    assert (under.condition, under.occurrences, under.token_mean_nats) == (says, 2, -2.0)


def test_the_price_of_a_word_is_given_only_where_it_was_found():
    assert price_per_word(fitted({"you": (1.0, 0.1)}), n_prompts=9) is None
    found = price_per_word(fitted({}, per_word=(-0.5, 0.1)), n_prompts=9)
    assert found is not None
    assert (found.value, found.n) == (-0.5, 9)
    assert found.low < -0.6 < -0.4 < found.high


def answers(
    n_prompts: int, seed: int = 0
) -> tuple[list[str], NDArray[np.bool_], NDArray[np.int64]]:
    """Four answers of each policy per prompt: the aligned one says "sorry" more often, "fool" less.

    "day" is as frequent on both sides, and most frequent in half of the prompts.
    """
    generator = np.random.default_rng(seed)
    prompt = np.repeat(np.arange(n_prompts), 8)
    aligned = np.tile(np.arange(8) < 4, n_prompts)
    rates = {
        "sorry": np.where(aligned, 0.6, 0.2),
        "fool": np.where(aligned, 0.1, 0.5),
        "day": np.where(prompt % 2, 0.9, 0.3),
        "filler": np.full(len(prompt), 0.5),
    }
    said = {word: generator.random(len(prompt)) < rate for word, rate in rates.items()}
    texts = [" ".join(word for word in rates if said[word][row]) for row in range(len(prompt))]
    return texts, aligned, prompt


def test_words_that_are_used_more_or_less_are_found_with_their_rates():
    texts, aligned, prompt = answers(60)
    found = {term.term: term for term in changed_terms(texts, aligned, prompt, [], FITTING)}
    assert set(found) == {"sorry", "fool"}
    for word, term in found.items():
        counts = np.array([text.split().count(word) for text in texts])
        assert term.aligned_rate == pytest.approx(counts[aligned].mean())
        assert term.reference_rate == pytest.approx(counts[~aligned].mean())


@pytest.mark.parametrize("paid", ["sorry", "so sorry"])
def test_words_that_are_paid_for_are_not_said_to_have_merely_changed(paid: str):
    texts, aligned, prompt = answers(60)
    found = [term.term for term in changed_terms(texts, aligned, prompt, [paid], FITTING)]
    assert found == ["fool"]


def test_the_most_clearly_changed_word_comes_first():
    texts, aligned, prompt = answers(60, seed=1)
    texts = [f"{text} thanks" if mine else text for text, mine in zip(texts, aligned, strict=True)]
    assert changed_terms(texts, aligned, prompt, [], FITTING)[0].term == "thanks"


def test_the_difference_between_prompts_is_no_change():
    texts, aligned, prompt = answers(60)
    swapped = np.where(prompt % 2, aligned, ~aligned)
    found = changed_terms(texts, swapped.astype(bool), prompt, ["sorry", "fool"], FITTING)
    assert found == []


@pytest.mark.parametrize("n_prompts", [1, 3, 12, 30])
def test_the_same_words_on_both_sides_have_not_changed(n_prompts: int):
    """With few prompts too: the yardstick is Student's t."""
    found = []
    for seed in range(12):
        texts, aligned, prompt = answers(n_prompts, seed)
        generator = np.random.default_rng(seed)
        shuffled = np.concatenate([generator.permutation(row) for row in aligned.reshape(-1, 8)])
        found += changed_terms(texts, shuffled, prompt, [], FITTING)
    assert len(found) <= 1


def test_no_texts_have_no_changed_words():
    texts, aligned, prompt = ["", "..."], np.array([True, False]), np.array([0, 0])
    assert changed_terms(texts, aligned, prompt, [], FITTING) == []
