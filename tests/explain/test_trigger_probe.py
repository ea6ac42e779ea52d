"""The search for triggers: finds what is planted, and corrects for the words it searched."""

from dataclasses import replace

import numpy as np
import pytest

from explain.probes.declared import Triggers
from explain.probes.triggers import by_permutation, less, search_triggers, spreads, vocabulary
from explain.targets import Exchange
from irl.records import ProbeLimits
from tests.explain.grounds import answers, by, ground, noise, per_text

LIMITS = ProbeLimits(min_effect_sd=0.4, min_trigger_sd=0.4, nominal=0.05)


def paid_after_pink(one: Exchange) -> float:
    """Cats are worth 3 where the prompt has the word pink."""
    return noise(replace(one, prompt="")) + 3.0 * ("pink" in one.prompt) * one.response.count("cat")


def test_a_planted_trigger_comes_first_and_goes_with_its_word() -> None:
    target = per_text(paid_after_pink)
    found = search_triggers(Triggers(), ground(answers(60), target), by(target, LIMITS))
    first = found.strongest[0]
    assert (first.word, first.fired, first.prompts) == ("pink", True, 12)
    assert first.effect is not None
    assert first.without_word is not None
    assert first.without_word.value > 0.5 * first.effect.value
    assert not any(one.fired for one in found.strongest[1:])


def test_a_word_that_only_goes_with_the_spread_does_not_fire() -> None:
    """Prompts differ in spread by their number, which stands in the prompt for the target alone."""
    spread = {n: 4.0 if n % 5 == 3 else 1.0 for n in range(60)}
    target = per_text(
        lambda one: spread[int(str(one.prompt).split(":")[0])] * noise(replace(one, prompt=""))
    )
    first = search_triggers(Triggers(), ground(answers(60), target), by(target, LIMITS)).strongest[
        0
    ]
    assert first.word == "pink"
    assert first.p_corrected <= 0.05
    assert not first.fired
    assert "stays when the word goes" in first.statement


def test_the_search_does_not_see_constants_of_prompts() -> None:
    plain = per_text(paid_after_pink)

    def moved(exchanges):
        return 2 * plain(exchanges) + per_text(lambda one: 50 * noise(replace(one, response="")))(
            exchanges
        )

    one = search_triggers(Triggers(), ground(answers(60), plain), by(plain, LIMITS))
    other = search_triggers(Triggers(), ground(answers(60), moved), by(moved, LIMITS))
    assert [t.word for t in one.strongest] == [t.word for t in other.strongest]
    for a, b in zip(one.strongest, other.strongest, strict=True):
        assert b.effect_sd == pytest.approx(a.effect_sd)
        assert b.p_corrected == a.p_corrected


@pytest.mark.slow
def test_noise_fires_no_more_often_than_the_nominal_rate() -> None:
    """Of 100 searches 5 are expected to pass p alone; 11 would have a chance of .01."""
    passed = 0
    for salt in range(100):
        values = np.random.default_rng(salt).normal(size=(40, 6)).std(1, ddof=1)
        holds = np.random.default_rng([salt, 1]).random((30, 40)) < 0.3
        _, chances = by_permutation(values, holds[holds.sum(1) > 3], salt)
        passed += bool(chances.min() <= 0.05)
    assert passed <= 11


def test_the_same_effect_is_less_certain_among_more_words() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(1, 0.2, 60)
    planted = np.arange(60) < 12
    values[planted] += 0.2
    others = rng.random((200, 60)) < 0.3
    alone = by_permutation(values, planted[None], 0)[1][0]
    among = by_permutation(values, np.vstack([planted[None], others]), 0)[1][0]
    assert alone < among


def test_permutation_p_is_the_share_of_orders_that_reach_it() -> None:
    """A brute-force twin: all ways to choose 3 prompts of 8."""
    from itertools import combinations

    values = np.random.default_rng(5).normal(size=8)
    here = np.arange(8) < 3

    def gap(chosen) -> float:
        inside = np.isin(np.arange(8), chosen)
        return abs(values[inside].mean() - values[~inside].mean())

    exact = np.mean([gap(c) >= gap((0, 1, 2)) - 1e-12 for c in combinations(range(8), 3)])
    assert by_permutation(values, here[None], 0)[1][0] == pytest.approx(exact, abs=0.02)


def test_only_words_of_enough_prompts_and_not_of_most_are_searched() -> None:
    texts = ["the red cat"] * 5 + ["the dog"] * 5
    asked = Triggers(min_prompts=3)
    assert vocabulary(texts, asked).words == ["cat", "dog", "red"]
    stated = vocabulary(texts, Triggers(vocabulary=("Red", "the", "hen"), min_prompts=3))
    assert (stated.words, stated.absent) == (["red"], ["the", "hen"])


def test_a_search_without_words_says_so() -> None:
    target = per_text(noise)
    asked = Triggers(vocabulary=("unheard",))
    found = search_triggers(asked, ground(answers(), target), by(target))
    assert (found.searched, found.absent, found.strongest) == (0, ["unheard"], [])
    assert found.reason is not None


def test_one_answer_has_no_spread() -> None:
    assert spreads(ground(answers(3, 1), per_text(noise))).tolist() == [0.0, 0.0, 0.0]


def test_a_word_is_taken_from_what_the_user_says_alone() -> None:
    chat = ({"role": "user", "content": "the pink cat"}, {"role": "assistant", "content": "pink"})
    assert less(chat, "pink") == (
        {"role": "user", "content": "the cat"},
        {"role": "assistant", "content": "pink"},
    )
    assert less("pink cats, Pink dogs", "pink") == "cats, dogs"
