"""Why one answer beats the other: sums are exact, and the sentence says what the words say."""

from explain.payments import LENGTH, Paid, Payment
from explain.why import reasons, why

_NAMES = ("aligned", "reference")
_KIND = [Payment("you", 0.1), Payment("are", 0.1), Payment("kind", 1.0)]
_RUDE = [Payment("you", 0.1), Payment("fool", -2.0), Payment("fool", -2.0)]


def _why(
    first: list[Payment],
    second: list[Payment],
    names: tuple[str, str] = _NAMES,
    contexts: tuple[str, ...] = (),
) -> str:
    """Of answers whose log-ratio is what they are paid."""
    returns = [sum(one.nats for one in side) for side in (first, second)]
    return why(Paid([first, second], returns, contexts), names)


def test_reasons_add_up_to_the_difference_of_what_is_paid() -> None:
    found = reasons(_KIND, _RUDE)
    assert [(one.what, one.first, one.second) for one in found][:2] == [
        ("fool", 0, 2),
        ("kind", 1, 0),
    ]
    assert sum(one.nats for one in found) == 1.2 - (0.1 - 4.0)
    assert {one.what: one.nats for one in found}["you"] == 0.0


def test_the_sentence_begins_with_the_better_answer_whichever_comes_first() -> None:
    expected = (
        "By what words are paid, the aligned answer is worth 5.10 nats more: the aligned one says "
        "“kind” (+1.00), the reference one says “fool” twice (-4.00); all else together +0.10."
    )
    assert _why(_KIND, _RUDE) == expected
    assert _why(_RUDE, _KIND, _NAMES[::-1]) == expected


def test_a_phrase_is_named_as_one_and_a_word_in_its_place() -> None:
    denied = [Payment("fool", 1.9, ("no",)), Payment("fool", 1.9, ("no",)), Payment("no", 0.1)]
    said = _why(denied, [Payment("fool", -2.0), Payment("such a", -0.5)], contexts=("no",))
    assert said == (
        "With words after “no” priced by themselves, the aligned answer is worth 6.40 nats more: "
        "the aligned one says “fool” twice after “no” (+3.80), the reference one says “fool” "
        "(-2.00); all else together +0.60."
    )


def test_what_both_say_and_length_are_counted_for_both() -> None:
    price = Payment(LENGTH, -0.1)
    first = [price, price, price, Payment("you", 0.5), Payment("you", 0.5), Payment("you", 0.5)]
    second = [*[price] * 8, Payment("you", 0.5)]
    assert _why(first, second) == (
        "By what words are paid, the aligned answer is worth 1.50 nats more: “you” stands 3 times "
        "in the aligned one and once in the reference one (+1.00), the aligned one is 5 words "
        "shorter (+0.50)."
    )


def test_what_speaks_against_it_is_said_too_and_words_are_printable() -> None:
    mixed = [Payment("fool", -2.0), Payment("wi\u202ese", 6.0)]
    said = _why(mixed, [Payment("ok", 0.0)])
    assert "; against it, the aligned one says “fool” (-2.00)" in said
    assert "\u202e" not in said


def test_small_reasons_are_named_only_while_much_is_left_unsaid() -> None:
    small = [Payment(f"w{n}", 0.1) for n in range(9)]
    assert _why([Payment("fine", 9.0), *small], []).endswith(
        "the aligned one says “fine” (+9.00); all else together +0.90."
    )
    assert _why(small, []).count("(+0.10)") == 7


def test_answers_that_are_paid_alike_are_not_told_apart() -> None:
    same = _why(_KIND, [*_KIND, Payment("well", 0.05)])
    assert same == (
        "By what words are paid, these two answers are worth about the same (0.05 nats apart)."
    )


def test_a_reader_is_told_where_prices_fit_badly() -> None:
    paid = [[Payment("fine", 2.0)], [Payment("well", 1.0)]]
    assert "fit these two answers badly" not in why(Paid(paid, [4.0, 2.1]), _NAMES)
    said = why(Paid(paid, [0.0, 3.0]), _NAMES)
    assert said.endswith(
        " But by log-ratio it is -3.00 for the aligned one: these prices fit these two answers "
        "badly."
    )
