"""A table of responses in which the one in the URL is marked, and a click puts one there."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pyarrow as pa
import streamlit as st

from dashboard.widgets.address import go, here
from dashboard.widgets.plain import table


def choose_row(rows: pa.Table, columns: Mapping[str, Any], key: str) -> None:
    """Show it.

    Args:
        rows: with a column response_id.
        columns: as `table` takes them.
        key: of the table; another for other rows.
    """
    names = rows["response_id"].to_pylist()
    marked = [at for at, name in enumerate(names) if name == here().response]
    st.session_state[key] = {"selection": {"rows": marked}}
    follow = partial(_follow, key, names)
    table(rows, columns, height="content", key=key, on_select=follow, selection_mode="single-row")


def _follow(key: str, names: Sequence[str]) -> None:
    rows: Any = st.session_state[key]["selection"]["rows"]
    if rows:
        go(response=names[rows[0]], token=None)
    elif here().response in names:
        go(response=None, token=None)  # else nothing was taken back: it stands on another page
