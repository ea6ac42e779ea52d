"""Why one answer beats the other: sums are exact, and the sentence says what the words say."""

from explain.tokens import Answer, Token
from explain.why import reasons, why

_NAMES = ("aligned", "reference")


def _answer(*pieces: tuple[str, float]) -> Answer:
    tokens = [Token(text, text.startswith("<"), 0.0, 0.0, 9.0, nats) for text, nats in pieces]
    return Answer("id", "aligned", 0.0, 0.0, tokens)


_KIND = _answer(("you", 0.1), (" are", 0.1), (" ki", 0.5), ("nd", 0.5), ("</s>", 7.0))
_RUDE = _answer(("you", 0.1), (" fool", -2.0), (",", 0.0), (" Fool", -2.0))


def test_reasons_add_up_to_the_difference_of_what_the_words_are_paid() -> None:
    found = reasons(_KIND, _RUDE)
    assert [(one.word, one.first, one.second) for one in found][:2] == [
        ("fool", 0, 2),
        ("kind", 1, 0),
    ]
    assert sum(one.nats for one in found) == 1.2 - (0.1 - 4.0)
    assert {one.word: one.nats for one in found}["you"] == 0.0


def test_the_sentence_begins_with_the_better_answer_whichever_comes_first() -> None:
    expected = (
        "By what words are paid, the aligned answer is worth 5.10 nats more: the reference one "
        "says “fool” 2 times (-4.00), the aligned one says “kind” (+1.00); all other words "
        "together +0.10."
    )
    assert why(_KIND, _RUDE, _NAMES) == expected
    assert why(_RUDE, _KIND, _NAMES[::-1]) == expected


def test_what_speaks_against_it_is_said_too_and_words_are_printable() -> None:
    mixed = _answer((" fool", -2.0), (" wi\u202ese", 6.0))
    said = why(mixed, _answer(("ok", 0.0)), _NAMES)
    assert "against it: the aligned one says “fool” (-2.00)" in said
    assert "\u202e" not in said
    same = why(_KIND, _KIND, _NAMES)
    assert same == "What words are paid does not tell these two answers apart."
