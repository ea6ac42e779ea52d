"""What each kind of aspect counts."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from explain import aspect_measures as measures
from explain.aspect_files import read_aspects
from explain.aspect_measures import DeclaredAspect, Measure, measured
from explain.exchange import Exchange
from irl.errors import InputError

STOCK = read_aspects()
TEXTS = st.text(alphabet="ab c.!?'\n\x00日。", max_size=40)


def value(measure: Measure, text: str) -> float:
    (found,) = measure([Exchange("prompt", text)])
    return float(found)


def stock(name: str) -> Measure:
    (found,) = [one.measure for one in STOCK.aspects if one.name == name]
    return found


@pytest.mark.parametrize(
    ("text", "words", "sentences", "characters"),
    [
        ("", 0, 0, 0),
        ("...", 0, 0, 3),
        ("Hello", 1, 1, 5),
        ("It costs 3.5 euros. Really?! Yes", 7, 3, 32),
        ('"Stop." (Now.) Go', 3, 3, 17),
        ("one\n\ntwo", 2, 2, 8),
        ("你好。再见。", 2, 2, 6),
    ],
)
def test_length_counts_words_sentences_and_characters(
    text: str, words: int, sentences: int, characters: int
):
    found = [value(measures.length(of), text) for of in ("words", "sentences", "characters")]
    assert found == [words, sentences, characters]


def test_a_lexicon_counts_the_longest_phrase_at_each_place_and_no_word_twice():
    thanks = measures.lexicon(["thank you", "thank you very much", "thank", "you all"])
    assert value(thanks, "Thank you very much! Thank YOU all. thank.") == 3
    assert value(measures.lexicon(["a a"]), "a a a") == 1
    assert value(measures.lexicon(["don't"]), "Don’t, do not, dont") == 1, "typographic apostrophe"
    assert value(measures.lexicon(["art"]), "artful party") == 0, "whole words only"


@pytest.mark.parametrize(("once", "count"), [(False, 3), (True, 1)])
def test_matches_and_terms_are_counted_or_merely_noticed(once: bool, count: int):
    assert value(measures.matches(re.compile("x+"), at_most_once=once), "xx y x x") == count
    assert value(measures.lexicon(["x"], at_most_once=once), "x y x x") == count
    assert value(measures.matches(re.compile(r"\b"), at_most_once=once), "a b") == 0, "nothing"


def test_a_refusal_stands_at_the_beginning():
    assert value(measures.refusal(), "I'm sorry, but I cannot help with that, nor assist.") == 1
    assert value(measures.refusal(within_words=2), "Well then, as an AI I ...") == 0
    assert value(measures.refusal(), "I can't believe how kind that is.") == 0


def test_sentiment_sums_the_weights_of_words():
    assert value(measures.sentiment({"good": 2.0, "bad": -3.0}), "Good, good, BAD day") == 1.0


@pytest.mark.slow
@given(TEXTS, st.integers(1, 4))
def test_repetition_is_the_number_of_runs_less_the_distinct_ones(text: str, run: int):
    words = Exchange("", text).words
    runs = [" ".join(words[at : at + run]) for at in range(len(words) - run + 1)]
    assert value(measures.repetition(run), text) == len(runs) - len(set(runs))


@given(st.lists(TEXTS, max_size=4))
def test_every_stock_aspect_counts_from_0_whatever_the_text(texts: list[str]):
    values = measured(STOCK.aspects, [Exchange("p", text) for text in texts])
    assert values.shape == (len(texts), len(STOCK.names))
    assert (values >= 0).all()
    assert (values == np.round(values)).all()


@pytest.mark.parametrize(
    ("name", "text", "count"),
    [
        ("questions", "Why? How?? Fine.", 2),
        ("exclamation", "Stop! Now!!", 2),
        ("politeness", "Please, thank you so much; sorry.", 3),
        ("hedging", "Perhaps it might rain, I think.", 3),
        ("insults", "You idiot, shut up!", 2),
        ("numbers", "Twenty of 1,000.5 one-horse towns", 2),
        ("refusal", "As a language model I have no opinion.", 1),
        ("flattery", "Great question, you are right.", 2),
        ("first person", "I'm sure we know me and my dog", 4),
        ("repetition", "on and on and on and on", 3),
    ],
)
def test_the_stock_set_finds_the_common_ways_of_saying_a_thing(name: str, text: str, count: int):
    assert value(stock(name), text) == count


def test_words_of_an_exchange_are_split_once(monkeypatch: pytest.MonkeyPatch):
    calls = []
    split = measures.words
    monkeypatch.setattr(
        "explain.exchange.splitting.words", lambda text: calls.append(text) or split(text)
    )
    measured(STOCK.aspects, [Exchange("p", "one"), Exchange("p", "two")])
    assert calls == ["one", "two"]


@pytest.mark.parametrize(
    "returned", [[1.0], [[1.0], [2.0]], [1.0, float("nan")], ["a", "b"], None], ids=str
)
def test_what_a_function_of_the_user_returns_must_be_one_finite_number_each(returned: object):
    own = DeclaredAspect("own", "unit", measures.foreign("own", lambda _: returned))
    with pytest.raises(InputError, match=r"aspect own .*one (finite )?number"):
        measured([own], [Exchange("p", "a"), Exchange("p", "b")])
