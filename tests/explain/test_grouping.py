"""Tokens put together: nothing is lost, nothing is cut, special tokens stay alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explain.grouping import GRANULARITIES, Granularity, grouped
from explain.tokens import Answer, Token

_PIECES = st.lists(st.text(alphabet="ab '.!\n", max_size=4), max_size=12)


def answer(*pieces: str, special: tuple[str, ...] = ("</s>",), paid: bool = True) -> Answer:
    tokens = [
        Token(text, text in special, -1.0 - at, -2.0, 2.0**at, 0.5 if paid else None)
        for at, text in enumerate(pieces)
    ]
    return Answer("r", "aligned", None, sum((t.log_ratio_nats for t in tokens), 0.0), tokens)


def texts(of: Answer) -> list[str]:
    return [token.text for token in of.tokens]


@pytest.mark.parametrize("by", GRANULARITIES)
@given(pieces=_PIECES)
def test_texts_tokens_and_nats_add_up_whatever_is_put_together(
    by: Granularity, pieces: list[str]
) -> None:
    given_, found = answer(*pieces), grouped(answer(*pieces), by)
    assert "".join(texts(found)) == "".join(pieces)
    assert sum(token.n_tokens for token in found.tokens) == len(pieces)
    for name in ("log_ratio_nats", "aligned_nats", "reference_nats", "paid_for_nats"):
        sums = [sum(getattr(token, name) for token in of.tokens) for of in (given_, found)]
        assert sums[0] == sums[1]  # powers of two and halves: exact in any order


def test_words_sentences_and_the_message():
    said = answer(" You", " fo", "ol", ".", " Go", " a", "way", "!", "</s>")
    assert texts(grouped(said, "token")) == texts(said)
    assert texts(grouped(said, "word")) == [" You", " fool", ".", " Go", " away", "!", "</s>"]
    assert texts(grouped(said, "sentence")) == [" You fool.", " Go away!", "</s>"]
    assert texts(grouped(said, "message")) == [" You fool. Go away!", "</s>"]
    fool = grouped(said, "word").tokens[1]
    assert (fool.n_tokens, fool.log_ratio_nats, fool.paid_for_nats) == (2, 6.0, 1.0)


def test_a_token_over_two_words_goes_whole_to_the_one_that_holds_most():
    assert texts(grouped(answer("a", "a bbb", "b"), "word")) == ["a", "a bbbb"]
    assert texts(grouped(answer("aaaaa b", "b"), "word")) == ["aaaaa b", "b"]


def test_a_special_token_parts_what_stands_around_it():
    found = grouped(answer("ab", "</s>", "ab", "</s>", "</s>"), "message")
    assert texts(found) == ["ab", "</s>", "ab", "</s>", "</s>"]
    assert [token.special for token in found.tokens] == [False, True, False, True, True]


def test_what_was_not_measured_stays_unmeasured():
    assert grouped(answer("a", "b", paid=False), "message").tokens[0].paid_for_nats is None
