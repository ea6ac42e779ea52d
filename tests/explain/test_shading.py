import pytest

from explain.shading import (
    CHARGED,
    OPAQUE,
    PAID,
    background,
    gradient,
    scale_nats,
    shade,
)
from explain.tokens import Answer, Token, is_special, visible
from tests.explain.tables import answer, tables


def rgb(colour: str) -> str:
    return ", ".join(str(int(colour[at : at + 2], 16)) for at in (1, 3, 5))


def token(text: str = " kind", paid: float | None = 1.0, special: bool = False) -> Token:
    return Token(text, special, -1.25, -2.25, 1.0, paid)


def shaded(*tokens: Token, scale: float = 2.0):
    return shade(Answer("r", "aligned", 1.0, 1.0, list(tokens)), "paid_for", scale)


@pytest.mark.parametrize(
    ("nats", "expected"),
    [
        (0.0, "transparent"),
        (None, "transparent"),
        (1e-9, "transparent"),
        (1.0, f"rgba({rgb(PAID)}, {OPAQUE / 2:.2f})"),
        (-1.0, f"rgba({rgb(CHARGED)}, {OPAQUE / 2:.2f})"),
        (2.0, f"rgba({rgb(PAID)}, {OPAQUE:.2f})"),
        (-200.0, f"rgba({rgb(CHARGED)}, {OPAQUE:.2f})"),
    ],
)
def test_colour_is_symmetric_linear_and_clipped_and_nought_has_none(
    nats: float | None, expected: str
):
    assert background(nats, 2.0) == expected


def test_the_legend_ends_in_the_colours_of_full_loss_and_full_gain():
    bar = gradient()
    assert bar.index(rgb(CHARGED)) < bar.index(rgb(PAID))
    assert f"rgba({rgb(PAID)}, {OPAQUE})" in bar


def test_one_odd_token_does_not_pale_the_rest():
    rows = [answer("p", "aligned", 1.0, "a b c d", 0, 2.0, -0.5) for _ in range(99)]
    rows.append(answer("p", "aligned", 1.0, "a b c d", 1000.0))
    _, tokens = tables(rows)
    assert scale_nats(tokens, "paid_for") == pytest.approx(2.0)
    assert scale_nats(tokens, "value_gained") == pytest.approx(1.0)


def test_a_run_in_which_nothing_is_paid_for_still_has_a_scale():
    _, tokens = tables([answer("p", "aligned", 0.0, "a b c d", 0, 0, 0, 0)])
    assert scale_nats(tokens, "paid_for") == 1.0


def test_a_token_carries_its_exact_values_of_both_policies():
    (shown,) = shaded(token())
    assert shown.text == " kind"
    for part in ("kind", "paid for: +1.000", "value gained: +1.000", "-1.250", "-2.250"):
        assert part in shown.hover
    assert "not measured" in shaded(token(paid=None))[0].hover


def test_special_tokens_are_marked():
    assert [shown.special for shown in shaded(token(), token("</s>", special=True))] == [0, 1]


@pytest.mark.parametrize(
    ("piece", "response", "special"),
    [
        ("</s>", " you are kind", True),
        (" kind", " you are kind", False),
        (" You", "You are kind", False),
        ("\ufffd", "日", False),
        ("\n", "", False),
        ("</s>", "they wrote </s> out", False),
    ],
)
def test_a_special_token_is_one_that_the_text_lacks(piece: str, response: str, special: bool):
    assert is_special(piece, response) is special


@pytest.mark.parametrize(
    ("piece", "shown"),
    [
        (" word", " word"),
        (" ", "␣"),
        ("\n\n", "↵\n↵\n"),
        ("a\nb", "a\nb"),
        ("\x1b[31m\u202e", r"\x1b[31m\u202e"),
        ("", ""),
    ],
)
def test_white_space_alone_gets_a_mark_and_control_characters_are_escaped(piece: str, shown: str):
    assert visible(piece) == shown
