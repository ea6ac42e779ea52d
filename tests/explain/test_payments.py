"""What answers are paid: every way adds up to its reward, and phrases are not taken apart."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from explain.payments import LENGTH, Payment, Pricing
from explain.tokens import Answer, Token
from irl.records import PromptCondition
from irl.recovery.contexts import CONTEXTS_FILE, Prices
from irl.rewards.conditions import TypedPrompt
from irl.rewards.term_table import TermTable

_PIECES = ["you", " are", " no", " fo", "ol", ",", " fool", "</s>"]
_TERMS = TermTable(
    ("no fool", "fool", "you"),
    (3.0, -2.0, 1.0),
    per_word=-0.25,
    conditions=(None, None, PromptCondition(prompt_type="opinion")),
)
_PRICES = Prices({"fool": -2.0, "you": 0.5}, ("no",), {("no", "fool"): 4.0}, 0.3)


def _answer(kind: str | None, pieces: list[str] = _PIECES) -> Answer:
    """As a run stores it: what its tokens are paid at a prompt of that type."""
    text = ["" if piece.startswith("<") else piece for piece in pieces]
    paid = _TERMS.paid_for(text, TypedPrompt("hm", kind))
    tokens = [
        Token(piece, not shown, 0.0, 0.0, 0.0, nats)
        for piece, shown, nats in zip(pieces, text, paid, strict=True)
    ]
    return Answer("r", "aligned", 0.0, 7.0, tokens)


@pytest.mark.parametrize(("kind", "yours"), [(None, []), ("opinion", [Payment("you", 1.0)])])
def test_terms_are_paid_as_they_stand_and_the_type_of_the_prompt_is_read_off_the_tokens(
    kind: str | None, yours: list[Payment]
) -> None:
    pricing = Pricing(table=_TERMS, error_nats=0.5)
    paid = pricing("hm", [_answer(kind), _answer(kind, ["you"])])
    assert paid.error_nats == pytest.approx(0.5**0.5), "of the difference of two answers"
    assert paid.log_ratios_nats == [7.0, 7.0]
    assert paid.contexts == ()
    said = [one for one in paid.answers[0] if one.what != LENGTH]
    assert said == [*yours, Payment("no fool", 3.0), Payment("fool", -2.0), Payment("fool", -2.0)]
    assert paid.answers[0].count(Payment(LENGTH, -0.25)) == 5
    stored = sum(token.paid_for_nats or 0.0 for token in _answer(kind).tokens)
    assert sum(one.nats for one in paid.answers[0]) == pytest.approx(stored)


def test_prices_in_context_go_before_terms_and_name_the_context() -> None:
    paid = Pricing(_PRICES, _TERMS, error_nats=9.0)("hm", [_answer(None)])
    assert paid.error_nats == pytest.approx(0.18**0.5), "their own"
    assert paid.contexts == ("no",)
    assert paid.answers == [
        [
            Payment("you", 0.5),
            Payment("are", 0.0),
            Payment("no", 0.0),
            Payment("fool", 2.0, ("no",)),
            Payment("fool", 2.0, ("no",)),
        ]
    ]
    assert sum(one.nats for one in paid.answers[0]) == _PRICES(["".join(_PIECES[:-1])])[0]


def test_where_the_terms_are_not_those_of_the_tokens_the_tokens_are_believed() -> None:
    """Another reward lies in the folder, or none."""
    other = TermTable(("fool",), (5.0,))
    for pricing in (Pricing(table=other), Pricing()):
        (said,) = pricing("hm", [_answer(None)]).answers
        assert [one.what for one in said] == ["you", "are", "no", "fool", "fool"]
        assert sum(one.nats for one in said) == pytest.approx(3.0 - 4.0 - 5 * 0.25)


def test_a_run_is_priced_by_what_it_keeps(tmp_path: Path) -> None:
    assert Pricing.of(tmp_path) == Pricing()
    _TERMS.save(tmp_path / "reward", "terms")
    assert Pricing.of(tmp_path) == Pricing(None, _TERMS)
    _PRICES.save(tmp_path / "reward" / CONTEXTS_FILE)
    assert Pricing.of(tmp_path) == Pricing(_PRICES, _TERMS)
    terms = tmp_path / "reward" / "terms.json"
    sound = terms.read_text()
    terms.write_text("{")
    assert Pricing.of(tmp_path) == Pricing(_PRICES), "one damaged file does not cost the other"
    terms.write_text(sound)
    (tmp_path / "reward" / CONTEXTS_FILE).write_text("{")
    assert Pricing.of(tmp_path) == Pricing(None, _TERMS)
    table = {"prompt_id": list("ppqq"), "log_ratio_nats": [1.0, 3.0, 0.0, 9.0]}
    priced = pa.table({**table, "reward_nats": [-1.0, 1.0, -5.0, 3.0]})
    pq.write_table(priced, tmp_path / "responses.parquet")
    assert Pricing.of(tmp_path).error_nats == pytest.approx(0.5), "-0.5 and 0.5, with 2 free of 4"
    unpriced = pa.table({**table, "reward_nats": pa.nulls(4, pa.float64())})
    pq.write_table(unpriced, tmp_path / "responses.parquet")
    assert Pricing.of(tmp_path).error_nats == 0.0
