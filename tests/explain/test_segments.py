"""Segments: cuts are partitions, and tokens find the segment that holds them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from explain.cuts import CUTS, by_delimiters, sentences, words
from explain.segments import owners, parts, segments, text_of, with_parts, without
from explain.targets import Exchange
from irl.errors import InputError
from irl.policies.spans import Span, token_spans
from irl.policies.template import encode_response
from tests import fakes

_CHAT = ({"role": "user", "content": "what is it?"},)
_TEXTS = st.text(alphabet="ab '’.!?\n\té<|>", max_size=40)
_CUTS = [*CUTS.values(), by_delimiters(["<|a|>", "!"])]


@pytest.mark.parametrize("cut", _CUTS)
@given(text=_TEXTS)
def test_pieces_put_together_are_the_text(cut, text: str) -> None:
    bounds = cut(text)
    assert "".join(text[a:b] for a, b in bounds) == text
    assert all(a < b for a, b in bounds)


@given(prompt=_TEXTS, response=_TEXTS)
def test_without_every_segment_nothing_is_left_and_without_none_all_is(
    prompt: str, response: str
) -> None:
    exchange = Exchange(prompt, response)
    every = segments(exchange, words)
    assert parts(without(exchange, every)) == ["", ""]
    assert without(exchange, []) == exchange
    kept = [text_of(exchange, one) for one in every if one.part == 1]
    assert "".join(kept) == response
    assert all(one.part == 1 for one in segments(exchange, words, prompt=False))


def test_a_chat_has_a_part_for_each_message() -> None:
    exchange = Exchange(_CHAT, "fine.")
    assert parts(exchange) == ["what is it?", "fine."]
    changed = with_parts(exchange, ["who?", "me."])
    assert changed == Exchange(({"role": "user", "content": "who?"},), "me.")


def test_sentences_and_delimiters_cut_where_people_would() -> None:
    text = 'He said "no." Then he left! 3.5 miles\nnext'
    assert [text[a:b] for a, b in sentences(text)] == [
        'He said "no."',
        " Then he left!",
        " 3.5 miles\n",
        "next",
    ]
    text = "Hi.\nBye. \n\nSo"
    assert [text[a:b] for a, b in sentences(text)] == ["Hi.\n", "Bye. \n\n", "So"]
    steps = "a<|reflect|>b<|go|>c"
    cut = by_delimiters(["<|go|>", "<|reflect|>"])
    assert [steps[a:b] for a, b in cut(steps)] == ["a", "<|reflect|>b", "<|go|>c"]
    for bad in ([], [""]):
        with pytest.raises(InputError, match="Delimiters"):
            by_delimiters(bad)


def test_a_token_belongs_to_the_segment_that_holds_most_of_it() -> None:
    into = [Span(0, 0, 3), Span(0, 3, 9), Span(1, 0, 4)]
    tokens = [Span(0, 0, 2), Span(0, 2, 6), None, Span(1, 3, 4), Span(1, 7, 9)]
    assert list(owners(tokens, into)) == [0, 1, None, 2, None]


@pytest.mark.parametrize("prompt", ["what do you think? ", "", _CHAT])
@pytest.mark.parametrize("response", ["the naïve cat — it is fine 👍.", " a", ""])
def test_the_spans_of_tokens_cover_the_texts(prompt, response: str) -> None:
    tokenizer = fakes.tokenizer()
    eos = frozenset([int(tokenizer.eos_token_id)])
    sequence = encode_response(tokenizer, prompt, response, eos)
    spans = token_spans(tokenizer, prompt, response, sequence)
    assert len(spans) == len(sequence)
    texts = parts(Exchange(prompt, response))
    for part, text in enumerate(texts):
        covered = {
            at for span in spans if span and span.part == part for at in range(*_bounds(span))
        }
        assert {at for at, letter in enumerate(text) if not letter.isspace()} <= covered
    assert spans[-1] is None, "the end of the response is no text"


def _bounds(span: Span) -> tuple[int, int]:
    return span.start, span.end
