"""The URL is the one truth about what is shown, so that links and the back button work."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import streamlit as st

from dashboard.selection import Known, Selection, among

KEY: Final = "chosen {}"
LETTERS: Final = 90
"Of options that stand beside each other; longer ones are a list to open"


def here() -> Selection:
    """What the URL chooses."""
    return Selection.from_query(st.query_params)


def go(**changes: str | None) -> None:
    """Change what the URL says now: one click may change two things."""
    st.query_params.from_dict(replace(here(), **changes).to_query())


def choose(
    label: str,
    options: Sequence[Known],
    field: str,
    *,
    named: Callable[[str], str] = str,
    help_: str | None = None,
    **also: str | None,
) -> Known:
    """A choice that stands in the URL; the first option goes without saying.

    Args:
        label: what is chosen.
        options: this program's own words.
        field: of `Selection`.
        named: an option as it is shown.
        help_: a sentence about it.
        also: what else a change of it changes.
    """
    key = KEY.format(field)
    chosen = among(getattr(here(), field), options)
    st.session_state[key] = chosen

    def follow() -> None:
        picked = st.session_state[key]
        go(**{field: None if picked == options[0] else picked}, **also)

    beside = sum(map(len, options)) <= LETTERS
    picker: Any = st.segmented_control if beside else st.selectbox
    more = {"required": True} if beside else {"width": 300}
    picker(label, options, format_func=named, key=key, on_change=follow, help=help_, **more)
    return chosen
