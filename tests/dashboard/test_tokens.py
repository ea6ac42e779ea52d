import json

from dashboard import tokens
from explain.shading import shade, shade_values
from explain.tokens import Answer, Token
from tests.dashboard.samples import HOSTILE


def answer() -> Answer:
    pieces = [
        Token(" You", False, -1.0, -2.0, 1.0, 0.0),
        Token(HOSTILE, False, -1.0, -3.0, 2.0, -4.0),
        Token("\n", False, -1.0, -1.0, 0.0, 0.0),
        Token("</s>", True, -0.5, -0.25, -0.25, 0.0),
    ]
    return Answer("p0-a0", "aligned", 1.0, 2.75, pieces)


def test_the_payload_holds_text_mark_colour_and_exact_values_of_each_token():
    given = tokens.payload(shade(answer(), "paid_for", 4.0), "tokens")
    assert [token[0] for token in given["tokens"]] == [" You", HOSTILE, "↵\n", "</s>"]
    assert [token[1] for token in given["tokens"]] == [False, False, False, True]
    colours = [token[2] for token in given["tokens"]]
    assert colours[0] == colours[2] == colours[3] == "transparent"
    assert colours[1].startswith("rgba(213, 94, 0, 0.8")
    for part in ("paid for: -4.000", "value gained: +2.000", "aligned: -1.000", "reference: -3"):
        assert part in given["tokens"][1][3]
    assert json.loads(json.dumps(given)) == given


def test_the_other_colour_follows_the_log_ratio():
    given = tokens.payload(shade(answer(), "value_gained", 2.0), "tokens")
    assert [token[2] != "transparent" for token in given["tokens"]] == [True, True, False, True]


def test_the_legend_says_what_its_ends_stand_for():
    told = tokens.scale_told("nats paid for", " nats", 4.0)
    assert (told["low"], told["high"]) == ("-4.00 nats", "+4.00 nats paid for")


def test_segments_of_a_map_hold_their_value_and_its_place():
    shades = shade_values([("You", 0.5), (HOSTILE, -2.0), (" ", 0.0)], "ablation", 2.0)
    given = tokens.payload(shades, "segments")
    assert [token[0] for token in given["tokens"]] == ["You", HOSTILE, "␣"]
    assert "ablation: -2.000\nby size: 1 of 3 here" in given["tokens"][1][3]
    assert "by size: 2 of 3 here" in given["tokens"][0][3]
    assert "by size" not in given["tokens"][2][3]


def test_an_empty_response_has_no_tokens():
    nothing = Answer("p0-a0", "aligned", None, 0.0, [])
    assert tokens.payload(shade(nothing, "paid_for", 1.0), "tokens")["tokens"] == []


def test_the_component_puts_text_in_as_text():
    assert "textContent" in tokens.JS
    for way in ("innerHTML", "outerHTML", "insertAdjacent", "write(", "eval", "http"):
        assert way not in tokens.JS
