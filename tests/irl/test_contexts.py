"""Prices in context: planted ones are found, and none where there is none."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from irl.config import Fitting
from irl.evaluation.fit import explained_r2
from irl.recovery.contexts import ContextFit, Prices, fit_contexts
from irl.within import centred

_FILLER = [f"w{n}" for n in range(12)]
_INSULTS = ["fool", "clown", "oaf"]


def _said(rng: np.random.Generator) -> str:
    words = list(rng.choice(_FILLER, rng.integers(1, 6)))
    for _ in range(rng.integers(1, 4)):
        fool = str(rng.choice(_INSULTS))
        thing = str(rng.choice(_FILLER))
        words += [["such", fool], [fool], ["no", fool], ["no", "utter", fool], ["no", thing]][
            rng.integers(5)
        ]
        words += [["."], []][rng.integers(2)]
    return " ".join(words)


def _worth(text: str, denied: float) -> float:
    total = 0.0
    for sentence in text.split("."):
        words = sentence.split()
        for at, word in enumerate(words):
            if word in _INSULTS:
                total += denied if "no" in words[max(at - 2, 0) : at] else -2.0
    return total


@cache
def _fitted(denied: float, noise: float = 0.5) -> tuple[ContextFit, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    texts = [_said(rng) for _ in range(960)]
    prompt = np.repeat(np.arange(120), 8)
    level = rng.normal(0, 5, 120)[prompt]
    returns = np.array([_worth(text, denied) for text in texts]) + level
    returns += rng.normal(0, noise, len(texts))
    found = fit_contexts(texts, returns, prompt, prompt % 5, Fitting())
    return found, centred(returns, prompt), prompt


def test_a_denied_word_is_worth_what_was_planted_and_counts_cannot_tell() -> None:
    found, returns, prompt = _fitted(denied=2.0)
    assert found.prices.contexts == ("no",)
    for word in _INSULTS:
        plain, plain_error = found.joint.of({word: 1.0})
        denied, error = found.joint.of({word: 1.0, ("no", word): 1.0})
        assert abs(plain + 2.0) < 4 * plain_error
        assert abs(denied - 2.0) < 4 * error
        assert max(plain_error, error) < 0.15
        assert found.prices.words[word] == pytest.approx(-2.0, abs=0.25)
    with_context, alone = (
        explained_r2(values, returns, prompt) for values in (found.with_context, found.words_alone)
    )
    assert with_context is not None
    assert alone is not None
    assert with_context.value > 0.85
    assert with_context.low > alone.high + 0.1


def test_a_phrase_is_known_better_than_how_its_words_share_its_worth() -> None:
    found, _, _ = _fitted(denied=2.0)
    for word in _INSULTS:
        parts = ("no", word, ("no", word))
        worth, error = found.joint.of(dict.fromkeys(parts, 1.0))
        assert abs(worth - 2.0) < 4 * error
        _, alone = found.joint.of({word: 1.0, ("no", word): 1.0})
        assert error < alone, "since what the word has more, its context lacks"
        value, twice = found.joint.of({word: -2.0, "never said": 9.0})
        once = found.joint.of({word: 1.0})
        assert (value, twice) == pytest.approx((-2 * once[0], 2 * once[1]))


@pytest.mark.slow_extra
def test_in_noise_over_many_words_no_context_is_found() -> None:
    """Fitted words use up freedom: without counting them, noise looks smaller than it is."""
    rng = np.random.default_rng(0)
    shares = 1 / np.arange(1, 301)
    prompt = np.repeat(np.arange(40), 16)
    said = rng.choice(300, size=(640, 100), p=shares / shares.sum())
    texts = [" ".join(f"w{n}" for n in row) for row in said]
    found = fit_contexts(texts, rng.normal(size=640), prompt, prompt % 5, Fitting())
    assert found.prices.contexts == ()


def test_prices_are_kept_with_what_they_miss_of_held_out_answers(tmp_path: Path) -> None:
    found, returns, _ = _fitted(denied=2.0)
    assert found.prices.error_nats == pytest.approx(
        np.sqrt(((returns - found.with_context) ** 2).sum() / (960 - 120))
    )
    assert 0.5 < found.prices.error_nats < 0.7, "the noise, and little more"
    found.prices.save(tmp_path / "reward" / "contexts.json")
    assert Prices.load(tmp_path / "reward" / "contexts.json") == found.prices


def test_where_context_does_not_matter_none_is_found() -> None:
    found, _, _ = _fitted(denied=-2.0)
    assert found.prices.contexts == ()
    assert found.prices.added == {}
    np.testing.assert_array_equal(found.with_context, found.words_alone)


def test_a_word_of_the_sentence_before_is_no_context() -> None:
    found, _, _ = _fitted(denied=2.0)
    (credit,) = [v for word, v in found.prices.credits("no. fool") if word.text == "fool"]
    assert credit == found.prices.words["fool"]
    assert found.prices(["w1 no oaf"])[0] == pytest.approx(
        sum(value for _, value in found.prices.credits("w1 no oaf"))
    )


def test_with_prompts_of_one_fold_nothing_can_be_held_out_and_nothing_is_predicted() -> None:
    texts = ["no fool", "fool", "w1", "no w1"] * 8
    prompt = np.repeat(np.arange(8), 4)
    found = fit_contexts(texts, np.arange(32.0), prompt, np.zeros(32, dtype=int), Fitting())
    np.testing.assert_array_equal(found.words_alone, 0.0)
    np.testing.assert_array_equal(found.with_context, 0.0)
