"""One token of a response, drilled into: its odds, its term, and where else it is said."""

from collections.abc import Sequence
from functools import partial
from itertools import accumulate
from math import exp
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import streamlit as st

from dashboard.said import Said, SaidBy, said
from dashboard.widgets.address import go
from dashboard.widgets.plain import fact, nats, table, told
from dashboard.widgets.terms import term_table
from explain.grouping import grouped
from explain.tokens import Answer, Token, visible
from irl.errors import RunError
from irl.records import Term
from irl.rewards.words import words

EXTREMES_KEY: Final = "extremes of {}"
_text = st.column_config.TextColumn


def show_token(run: Path, answer: Answer, at: int, terms: Sequence[Term]) -> None:
    """A token, and what the whole run says of it.

    Args:
        run: the run folder.
        answer: by token.
        at: its position, from 0; from the URL.
        terms: of the audit, if the run is one.
    """
    if at >= len(answer.tokens):
        st.text(f"The response has {len(answer.tokens)} tokens; the URL names token {at + 1}.")
        return
    token, word = answer.tokens[at], _word(answer, at)
    st.subheader("The chosen token")
    _facts(token, at, len(answer.tokens))
    with st.container(horizontal=True):
        if word:
            st.button("Find its word everywhere", on_click=partial(_find, word))
        st.button("Close", on_click=partial(go, token=None))
    _terms(word, terms)
    try:
        _elsewhere(said(run, token.text))
    except RunError as error:
        st.text(str(error))


def _facts(token: Token, at: int, n: int) -> None:
    with st.container(horizontal=True, gap="medium"):
        fact("token", f"“{visible(token.text)}”")
        fact("position", f"{at + 1} of {n}")
        for policy, its in (("aligned", token.aligned_nats), ("reference", token.reference_nats)):
            fact(f"{policy}, nats (probability)", f"{its:.3f} ({exp(its):.3g})")
        fact("value gained, nats", f"{token.log_ratio_nats:+.3f}")
        if token.paid_for_nats is not None:
            fact("paid for, nats", f"{token.paid_for_nats:+.3f}")


def _word(answer: Answer, at: int) -> str:
    """The word that a token belongs to; empty where it belongs to none."""
    pieces = grouped(answer, "word").tokens
    ends = accumulate(piece.n_tokens for piece in pieces)
    holder = next(piece for piece, end in zip(pieces, ends, strict=True) if at < end)
    return "" if holder.special else " ".join(words(holder.text))


def _terms(word: str, terms: Sequence[Term]) -> None:
    held = [term for term in terms if word and word in term.term.split()]
    if held:
        st.caption("Terms with this word that the audit prices:")
        term_table(held)
    elif word and terms:
        st.caption("No term with this word has a weight that differs from 0.")


def _elsewhere(found: Said) -> None:
    st.caption("The same token wherever this run says it; means with 95 % intervals over prompts.")
    columns = {name: _text(name) for name in ("answers of", "times", "value gained", "paid for")}
    table([_said_by(one) for one in found.by], columns, height="content")
    st.caption("Where it gained most and least. Select a row to read it there.")
    shown = found.extremes
    around = [visible(text).replace("\n", " ") for text in shown["around"].to_pylist()]
    rows = shown.append_column("text", pa.array(around, pa.string()))
    more: dict[str, Any] = {
        "gained": nats("value gained, nats"),
        "paid": nats("paid for, nats"),
        "source": _text("source"),
        "text": _text("around it", width="large"),
    }
    key = EXTREMES_KEY.format(len(around))
    follow = partial(_follow_row, key, shown.select(["response_id", "place"]).to_pylist())
    table(rows, more, height="content", key=key, on_select=follow, selection_mode="single-row")


def _said_by(one: SaidBy) -> dict[str, Any]:
    return {
        "answers of": one.source,
        "times": str(one.times),
        "value gained": told(one.gained),
        "paid for": told(one.paid),
    }


def _follow_row(key: str, places: Sequence[dict[str, Any]]) -> None:
    rows = st.session_state[key]["selection"]["rows"]
    if rows:
        place = places[rows[0]]
        go(response=place["response_id"], token=str(place["place"]))


def _find(word: str) -> None:
    go(find=word, response=None, token=None, page=None)
