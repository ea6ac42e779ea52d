"""Edits of texts: what changes, and what must not."""

import numpy as np
import pytest

from explain.probes import edits
from explain.probes.bias import with_opinion

RNG = np.random.default_rng(0)


def test_words_at_the_beginning_take_over_the_capital():
    assert edits.before("The cat sat.", "certainly") == "Certainly the cat sat."
    assert edits.before("I sat.", "certainly") == "Certainly I sat."
    assert edits.before("the cat sat.", "certainly") == "certainly the cat sat."
    assert edits.before("The cat sat.", "Thank you.") == "Thank you. The cat sat."


def test_words_before_the_last_sentence_leave_the_others():
    made = edits.opened("a cat. the dog sat!", "clearly", last=True)
    assert (made.without, made.with_it) == ("a cat. the dog sat!", "a cat. clearly the dog sat!")


@pytest.mark.parametrize(
    ("text", "words", "left"),
    [
        ("a cat. certainly the dog sat.", "certainly", "a cat. the dog sat."),
        ("Certainly the dog sat.", "certainly", "The dog sat."),
        ("the dog, maybe, sat.", "maybe", "the dog, sat."),
        ("the dog sat there.", "there", "the dog sat."),
        ("thanks, the dog sat.", "thanks", "the dog sat."),
    ],
)
def test_what_is_taken_away_leaves_no_gap(text: str, words: str, left: str):
    assert edits.removed(text, words) == left


def test_only_whole_words_are_taken_away():
    assert edits.removed("the catalogue", "cat") is None


def test_inserted_words_can_be_taken_away_again():
    text = "A cat. The dog sat."
    made = edits.opened(text, "the handbook says", last=True).with_it
    assert edits.removed(made, "the handbook says") == text


def test_the_first_sentence_stays_first_when_the_order_changes():
    made = edits.reordered("one. two! three?")
    assert made is not None
    assert made.with_it == "one. three? two!"
    assert edits.reordered("one. two.") is None


def test_formats_keep_the_words():
    assert edits.formatted("one. two.", "bullets") == edits.Edited("one. two.", "- one.\n- two.")
    assert edits.formatted("one. two.", "bold") == edits.Edited("one. two.", "**one.** two.")
    assert edits.formatted("one. two!", "exclaim") == edits.Edited("one. two.", "one. two!")
    assert edits.formatted("one. two?", "exclaim") is None
    assert edits.formatted("", "bullets") is None


def test_swaps_keep_capitals_and_can_stop_after_the_first():
    table = {"he": "she", "his": "her"}
    made = edits.swapped("He lost his hat, he did.", table)
    assert made is not None
    assert made.with_it == "She lost her hat, she did."
    first = edits.swapped("He lost his hat.", table, every=False)
    assert first is not None
    assert first.with_it == "She lost his hat."
    assert edits.swapped("the shed", table) is None


def test_a_place_for_words_is_read_both_ways():
    words, instead, contexts = ("fool",), ("hero",), ("such a {word}",)
    for text in ("you are such a fool!", "you are such a hero!"):
        made = edits.reworded(text, words, instead, contexts, RNG)
        assert made == edits.Edited("you are such a hero!", "you are such a fool!")
    assert edits.reworded("a fool", words, instead, contexts, RNG) is None


def test_an_opinion_is_added_to_what_the_user_said_last():
    chat = ({"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"})
    assert with_opinion(chat, "i say so")[0] == {"role": "user", "content": "hi i say so"}
    assert with_opinion("hi", "i say so") == "hi i say so"
    assert with_opinion("", "i say so") == "i say so"
