"""Terms: the same words everywhere, whatever way a text is cut into tokens."""

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from irl.errors import InputError
from irl.rewards.terms import (
    TermReward,
    count_terms,
    located_words,
    ngrams,
    term_tokens,
    words,
)

PIECES_OF_TEXT = st.sampled_from(
    [*"abB’'* \n.!-_2é", "aa", " you", "You", "don’t", "İ", "ẞ", "🙂", "日本", "a b", "f*ck"]
)
TEXTS = st.lists(PIECES_OF_TEXT, max_size=25).map("".join)
REWARD = TermReward(
    terms=("a", "you", "a b", "don't", "a a", "b you a", "日本"),
    weights=(1.0, -2.0, 0.5, 3.0, -0.25, 8.0, 1.5),
    intercept=0.75,
    per_word=-0.125,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n\t", []),
        ("...!?", []),
        ("Hello", ["hello"]),
        ("You IDIOT, go.", ["you", "idiot", "go"]),
        ("don't 'quote' it's'", ["don't", "quote", "it's"]),
        ("don’t", ["don't"]),
        ("“curly” ‘quotes’", ["curly", "quotes"]),
        ("f*ck f**k *bold* **", ["f*ck", "f**k", "bold"]),
        ("well-known e.g. 3.5", ["well", "known", "e", "g", "3", "5"]),
        ("snake_case", ["snake_case"]),
        ("naïve CAFÉ Straße ẞ", ["naïve", "café", "straße", "ß"]),
        ("日本語 テスト", ["日本語", "テスト"]),
        ("ok🙂ok", ["ok", "ok"]),
    ],
)
def test_words_are_lower_cased_runs_with_inner_apostrophes_and_asterisks(
    text: str, expected: list[str]
):
    assert words(text) == expected


def test_a_letter_that_grows_when_lower_cased_moves_no_position():
    assert len("İ".lower()) == 2
    text = "İİ you"
    last = located_words(text)[-1]
    assert (last.text, text[last.start : last.end]) == ("you", "you")


@given(TEXTS)
def test_every_word_stands_where_it_says(text: str):
    found = located_words(text)
    assert [word.text for word in found] == words(text)
    for word in found:
        here = text[word.start : word.end]
        assert here.replace("’", "'").lower() in (word.text, word.text.lower())
    assert all(one.end <= other.start for one, other in pairwise(found))


@given(TEXTS, st.integers(1, 4))
def test_terms_are_all_runs_of_consecutive_words(text: str, longest: int):
    found, split = Counter(ngrams(text, longest)), words(text)
    runs = Counter(
        " ".join(split[start:end])
        for start in range(len(split))
        for end in range(start + 1, len(split) + 1)
        if end - start <= longest
    )
    assert found == runs


@settings(deadline=None)
@given(st.lists(TEXTS, max_size=5))
def test_counts_are_those_of_a_counter(texts: list[str]):
    found = count_terms(texts, REWARD.terms).toarray()
    assert found.shape == (len(texts), len(REWARD.terms))
    for row, text in zip(found, texts, strict=True):
        counter = Counter(ngrams(text, 3))
        assert row.tolist() == [counter[term] for term in REWARD.terms]


def test_overlapping_occurrences_are_all_counted():
    assert count_terms(["a a a"], ["a a"]).toarray().tolist() == [[2]]


def test_no_terms_and_no_texts_give_empty_counts():
    assert count_terms(["a", "b"], []).shape == (2, 0)
    assert count_terms([], ["a"]).shape == (0, 1)


def test_a_reward_is_the_intercept_the_words_price_and_the_weights_of_the_terms():
    # you (-2) and a (1) in "a b" (0.5), three words at -0.125
    assert REWARD(["You, a b!"]).tolist() == [0.75 - 2.0 + 1.0 + 0.5 - 3 * 0.125]
    assert REWARD([""]).tolist() == [0.75]
    assert TermReward((), ())(["anything", ""]).tolist() == [0.0, 0.0]


def test_the_reward_of_a_text_does_not_depend_on_its_neighbours():
    texts = ["a b you", "", "don't", "a a a 日本"]
    together = REWARD(texts)
    alone = torch.cat([REWARD([text]) for text in texts])
    assert torch.equal(together, alone)
    assert REWARD([]).shape == (0,)


def test_a_reward_needs_one_weight_per_term():
    with pytest.raises(InputError, match="2 terms and 1 weights"):
        TermReward(("a", "b"), (1.0,))


def test_a_stored_reward_loads_as_the_same(tmp_path: Path):
    REWARD.save(tmp_path / "reward", "terms", method="log_ratio", seed=3)
    loaded = TermReward.load(tmp_path / "reward", "terms")
    assert loaded == REWARD
    assert torch.equal(loaded(["a b you 日本"]), REWARD(["a b you 日本"]))
    document = json.loads((tmp_path / "reward" / "terms.json").read_text(encoding="utf-8"))
    assert (document["kind"], document["method"], document["seed"]) == ("terms", "log_ratio", 3)


def test_a_stored_reward_keeps_every_bit_of_its_weights(tmp_path: Path):
    weights = tuple(np.random.default_rng(0).normal(size=20).tolist())
    reward = TermReward(tuple(f"w{at}" for at in range(20)), weights)
    reward.save(tmp_path, "terms")
    assert TermReward.load(tmp_path, "terms").weights == weights


def test_a_reward_without_terms_can_be_stored(tmp_path: Path):
    TermReward((), ()).save(tmp_path, "terms")
    assert TermReward.load(tmp_path, "terms") == TermReward((), ())


@settings(deadline=None)
@given(TEXTS, st.data())
def test_what_is_paid_to_the_tokens_adds_up_to_the_reward_however_the_text_is_cut(
    text: str, data: st.DataObject
):
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=12).map(sorted))
    ends = [*cuts, len(text)]
    pieces = [text[start:end] for start, end in zip([0, *cuts], ends, strict=True)]
    paid = REWARD.paid_for(pieces)
    assert len(paid) == len(pieces)
    assert sum(paid) == pytest.approx(float(REWARD([text])[0]) - REWARD.intercept)
    assert all(value == 0 for value, piece in zip(paid, pieces, strict=True) if not piece)


def test_a_term_is_split_evenly_over_the_tokens_that_hold_it():
    reward = TermReward(("stupid idea",), (-3.0,))
    pieces = ["a", " stu", "pid", " idea", "."]
    assert reward.paid_for(pieces) == [0.0, -1.0, -1.0, -1.0, 0.0]


def test_a_token_that_holds_several_words_is_paid_for_all_of_them():
    reward = TermReward(("you", "idiot"), (1.0, -4.0))
    assert reward.paid_for(["you idiot", ", you"]) == [-3.0, 1.0]


def test_special_tokens_are_paid_nothing_and_hide_nothing():
    reward = TermReward(("idiot",), (-4.0,), per_word=1.0)
    assert reward.paid_for(["", "idi", "", "ot", ""]) == [0.0, -1.5, 0.0, -1.5, 0.0]
    assert reward.paid_for([]) == []
    assert reward.paid_for(["", ""]) == [0.0, 0.0]


def test_the_price_of_length_is_paid_word_by_word():
    assert TermReward((), (), per_word=2.0).paid_for(["one two", " th", "ree", "!"]) == [4, 1, 1, 0]


def test_the_words_are_looked_for_once_where_every_word_has_a_price():
    reward = TermReward(("you", "you fool"), (1.0, -4.0), per_word=0.5)
    assert reward.paid_for(["you", " fool", " you"]) == [1.0 - 2.0 + 0.5, -2.0 + 0.5, 1.5]
    found = list(term_tokens(["you", " fool"], {"you fool"}, every_word=True))
    assert found == [("you", [0]), ("you fool", [0, 1]), ("fool", [1])]
    assert list(term_tokens(["you"], set(), every_word=True)) == [("you", [0])]


def test_the_intercept_belongs_to_no_token():
    assert TermReward(("a",), (1.0,), intercept=9.0).paid_for(["a", " b"]) == [1.0, 0.0]


def test_every_occurrence_of_a_term_is_found_with_its_tokens():
    pieces = ["", "You", " are", " so", " stu", "pid", ", you", " are", ""]
    found = list(term_tokens(pieces, {"you", "you are", "stupid", "absent"}))
    assert found == [
        ("you", [1]),
        ("you are", [1, 2]),
        ("stupid", [4, 5]),
        ("you", [6]),
        ("you are", [6, 7]),
    ]
    assert list(term_tokens(pieces, set())) == []
