"""Turning the pages of a table; which one is open stands in the URL."""

from functools import partial

import streamlit as st

from dashboard.answers import Page
from dashboard.selection import number
from dashboard.widgets.address import go, here


def open_page() -> int:
    """The page that the URL names, from 1; one that is not there is for the table to judge."""
    return number(here().page) or 1


def turn_pages(page: Page, of: str) -> None:
    """Below a table: which page is open, the others, and how many rows there are.

    Args:
        page: that is open.
        of: what its rows are.
    """
    # A key of its own for each page: what is open is what the URL says, not what was clicked.
    key = f"page {page.number} of {of}"
    st.pagination(page.n_pages, default=page.number, key=key, on_change=partial(_follow, key))
    st.caption(f"{page.n} {of}")


def _follow(key: str) -> None:
    turned = st.session_state[key]
    go(page=None if turned == 1 else str(turned))
