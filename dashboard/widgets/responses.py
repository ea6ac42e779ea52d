"""The responses of a run: pages of a table, in which one is chosen to be read."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import streamlit as st

from dashboard import answers
from dashboard.answers import ORDERS, Page
from dashboard.maps import mapped
from dashboard.queries import Wanted
from dashboard.selection import Selection
from dashboard.widgets.address import choose, go, here
from dashboard.widgets.pages import open_page, turn_pages
from dashboard.widgets.plain import nats
from dashboard.widgets.row_choice import choose_row
from irl.errors import RunError
from irl.records import Term

FIND_KEY: Final = "find_responses"
TERM_KEY: Final = "find_term"
Source = Literal["all", "aligned", "reference", "with a map"]
SOURCES: Final[tuple[Source, ...]] = ("all", "aligned", "reference", "with a map")
_text, _number = st.column_config.TextColumn, st.column_config.NumberColumn


def list_responses(run: Path, terms: Sequence[Term]) -> None:
    """Choose which, turn pages, click one.

    Args:
        run: the run folder.
        terms: of the audit, to look for.
    """
    _look_for(terms, here().find)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        wanted = _wanted(run, here())
        order = choose("Order, over the whole run", list(ORDERS), "order", page=None)
    try:
        page = answers.responses(run, wanted, order=order, number=open_page())
    except RunError as error:
        st.text(str(error))
        return
    _show(page, f"page of {run.name}, {wanted}, {order}, {page.number}")
    turn_pages(page, "responses")


def _look_for(terms: Sequence[Term], found: str | None) -> None:
    """Words, or a term of the audit."""
    st.session_state[FIND_KEY] = found or ""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input(
            "Find in prompts and responses",
            key=FIND_KEY,
            placeholder="a word, a term, a phrase",
            on_change=_follow_find,
        )
        _find_term(terms, found)


def _wanted(run: Path, selection: Selection) -> Wanted:
    """Which responses, as far as the reader has said."""
    source = choose("Responses", SOURCES, "source", page=None)
    ids = None
    if source == "with a map":
        ids = _with_maps(run)
    policy = source if source in ("aligned", "reference") else None
    return Wanted(policy, selection.find, ids)


def _with_maps(run: Path) -> tuple[str, ...]:
    try:
        found = mapped(run)
    except RunError as error:
        st.text(str(error))
        return ()
    if not found:
        st.caption("irl audit --full maps the words of some answers.")
    return found


def _find_term(terms: Sequence[Term], found: str | None) -> None:
    """Look for a term that is paid or charged for."""
    if not terms:
        return
    names = list(dict.fromkeys(term.term for term in terms))
    weights = {term.term: term.weight for term in reversed(terms)}
    st.session_state[TERM_KEY] = found if found in names else None
    st.selectbox(
        "or a term",
        names,
        key=TERM_KEY,
        placeholder="strongest first",
        format_func=lambda name: f"{name} ({weights[name]:+.2f} nats)",
        on_change=_follow_term,
        width=260,
    )


def _show(page: Page, key: str) -> None:
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
    choose_row(page.rows, columns, key)


def _follow_find() -> None:
    go(find=st.session_state[FIND_KEY] or None, response=None, token=None, page=None)


def _follow_term() -> None:
    go(find=st.session_state[TERM_KEY], response=None, token=None, page=None)
