"""The responses of a run: pages of a table, and the one in the URL token by token."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import streamlit as st

from dashboard import answers
from dashboard.answers import ORDERS, Order, Page
from dashboard.selection import Selection
from dashboard.tokens import show_tokens
from dashboard.widgets.plain import fact, nats, table
from explain.shading import NAMES
from irl.errors import RunError

SOURCES: Final = {"all": None, "aligned": "aligned", "reference": "reference"}
COLOUR_KEY: Final = "tokens_colour"
FIND_KEY: Final = "find_responses"
OF: Final = {"aligned": "of the aligned policy", "reference": "of the reference policy"}
NOTES: Final = {
    "paid_for": "Paid for: the recovered reward, laid on the tokens that carry it. That is a "
    "choice; only the sum over a response is a matter of fact.",
    "value_gained": "Value gained: each token's log-ratio. It says where the policy decided, not "
    "what is paid for.",
}
_text, _number = st.column_config.TextColumn, st.column_config.NumberColumn


def browse_responses(run: Path, selection: Selection) -> None:
    """Choose, turn pages, read."""
    source, order = _choose(selection)
    page_key = f"page of {run.name}, {source}, {order}, {selection.find}"
    number = st.session_state.get(page_key, 1)
    try:
        page = answers.responses(
            run, source=source, find=selection.find, order=order, number=number
        )
    except RunError as error:
        st.text(str(error))
        return
    _show(page, f"{page_key}, {page.number}", selection)
    st.pagination(page.n_pages, key=page_key)
    st.caption(f"{page.n} responses")
    if selection.response is not None:
        _read(run, selection.response, selection)


def _choose(selection: Selection) -> tuple[str | None, Order]:
    """Which responses, whose, and in which order."""
    st.session_state[FIND_KEY] = selection.find or ""
    st.text_input(
        "Find in prompts and responses",
        key=FIND_KEY,
        placeholder="a word, a term, a phrase",
        on_change=_follow_find,
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        source = st.segmented_control(
            "Source", list(SOURCES), default="all", required=True, key="responses_source"
        )
        order = st.selectbox(
            "Order, over the whole run", list(ORDERS), key="responses_order", width=260
        )
    return SOURCES[source], order


def _show(page: Page, key: str, selection: Selection) -> None:
    """The table; the row of the response in the URL is marked, and a click puts one there."""
    columns = {
        "prompt": _text("prompt", width="medium"),
        "response": _text("response", width="large"),
        "source": _text("source"),
        "n_tokens": _number("tokens"),
        "log_ratio_nats": nats("log-ratio, nats"),
        "reward_nats": nats("reward, nats"),
        "reward_low_nats": nats("low"),
        "reward_high_nats": nats("high"),
    }
    names = page.rows["response_id"].to_pylist()
    marked = [at for at, name in enumerate(names) if name == selection.response]
    st.session_state[key] = {"selection": {"rows": marked}}
    table(
        page.rows,
        columns,
        height="content",
        key=key,
        on_select=partial(_follow_row, key, names),
        selection_mode="single-row",
    )


def _follow_row(key: str, names: Sequence[str]) -> None:
    rows = st.session_state[key]["selection"]["rows"]
    if rows:
        _go(response=names[rows[0]])
    elif Selection.from_query(st.query_params).response in names:
        _go(response=None)  # else nothing was taken back: the response stands on another page


def _follow_find() -> None:
    _go(find=st.session_state[FIND_KEY] or None, response=None)


def _follow_colour() -> None:
    _go(colour=st.session_state[COLOUR_KEY])


def _go(**changes: Any) -> None:
    """The URL is the one truth about what is shown, so that links and the back button work.

    Changes are made to what it says now: one click may change two things.
    """
    selection = replace(Selection.from_query(st.query_params), **changes)
    st.query_params.from_dict(selection.to_query())


def _read(run: Path, response_id: str, selection: Selection) -> None:
    """One response: its prompt, its figures and its tokens in colour."""
    try:
        row = answers.response(run, response_id)
    except RunError as error:
        st.text(str(error))
        return
    with st.container(border=True):
        _facts(row)
        st.caption("prompt")
        st.code(row["prompt"], language=None, wrap_lines=True)
        try:
            _tokens(run, selection, response_id)
        except RunError as error:
            st.caption("response")
            st.code(row["response"], language=None, wrap_lines=True)
            st.text(str(error))
            return
    _beside(run, selection, response_id)


def _beside(run: Path, selection: Selection, response_id: str) -> None:
    """The other answers to the same prompt, in the same colours."""
    try:
        others = answers.answers_to_same_prompt(run, response_id)
        scale = answers.scale(run, selection.colour)
    except RunError as error:
        st.text(str(error))
        return
    if not others:
        return
    st.subheader("Other answers to this prompt")
    policies = list(dict.fromkeys(row["source"] for row in others))
    for policy, column in zip(policies, st.columns(len(policies)), strict=True):
        with column:
            st.caption(OF.get(policy, "given"))
            for row in others:
                if row["source"] == policy:
                    with st.container(border=True):
                        st.text(f"log-ratio {row['log_ratio_nats']:+.2f} nats")
                        _coloured(run, selection, row["response_id"], scale)


def _coloured(run: Path, selection: Selection, response_id: str, scale: float) -> None:
    try:
        answer = answers.tokens(run, response_id)
    except RunError as error:
        st.text(str(error))
        return
    show_tokens(answer, selection.colour, scale, key=f"tokens of {response_id}")


def _facts(row: dict[str, Any]) -> None:
    with st.container(horizontal=True, gap="medium"):
        fact("response", row["response_id"])
        fact("source", row["source"])
        fact("log-ratio, nats", f"{row['log_ratio_nats']:+.2f}")
        if row["reward_nats"] is not None:
            interval = f"{row['reward_low_nats']:+.2f} to {row['reward_high_nats']:+.2f}"
            fact("reward, nats", f"{row['reward_nats']:+.2f} ({interval})")
        fact("tokens", str(row["n_tokens"]))


def _tokens(run: Path, selection: Selection, response_id: str) -> None:
    answer = answers.tokens(run, response_id)
    colour = selection.colour
    scale = answers.scale(run, colour)
    st.session_state[COLOUR_KEY] = colour
    st.segmented_control(
        "Colour by",
        list(NAMES),
        format_func=lambda name: NAMES[name],
        required=True,
        key=COLOUR_KEY,
        on_change=_follow_colour,
    )
    st.caption(f"{NOTES[colour]} Point at a token for its exact values.")
    show_tokens(answer, colour, scale)
