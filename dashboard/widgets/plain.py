"""Labelled texts, numbers with intervals, and tables."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pyarrow as pa
import streamlit as st

from explain.glossary import meaning
from irl.records import Caveat, Estimate

PLOT: Final = {"displayModeBar": False}
"How every figure is shown"


def fact(label: str, text: str) -> None:
    """A small label of our own over a text that may be anyone's."""
    with st.container(gap=None, width="content"):
        st.caption(label, help=meaning(label))
        st.text(text)


def figure(label: str, value: str | None, note: str | None = None, *, border: bool = True) -> None:
    """A large number or word of our own, with a smaller note below it."""
    st.metric(
        label,
        "–" if value is None else value,
        delta="not measured" if value is None else note,
        delta_color="off",
        delta_arrow="off",
        border=border,
        help=meaning(label),
    )


def estimate(label: str, value: Estimate | None, digits: int, *, border: bool = True) -> None:
    """A number with its interval and n."""
    if value is None:
        figure(label, None, border=border)
        return
    interval = f"{value.low:.{digits}f} to {value.high:.{digits}f}, n = {value.n}"
    figure(label, f"{value.value:.{digits}f}", interval, border=border)


def table(
    rows: Sequence[Mapping[str, Any]] | pa.Table, columns: Mapping[str, Any], **more: Any
) -> Any:
    """A table whose columns are named, ordered, formatted and explained by `columns`."""
    return st.dataframe(
        rows,
        column_config={name: _explained(column) for name, column in columns.items()},
        column_order=list(columns),
        hide_index=True,
        placeholder="–",
        **more,
    )


def _explained(column: Any) -> Any:
    """The column with what its label means, where nothing is said of it yet."""
    if not isinstance(column, Mapping):  # a column of buttons
        return column
    told = column.get("help") or meaning(column.get("label") or "")
    return {**column, "help": told}


def nats(label: str, help_: str | None = None) -> Any:
    """A column of signed nats."""
    return st.column_config.NumberColumn(label, format="%+.2f", help=help_)


def sentences(title: str, caveats: Sequence[Caveat]) -> None:
    """What stands against a result, under a title; nothing where there is nothing."""
    if not caveats:
        return
    st.subheader(title)
    for caveat in caveats:
        st.text(f"• {caveat.text.replace('`', '')}")


def told(value: Estimate | None, digits: int = 3) -> str | None:
    """A number with its interval and n, for a table's cell."""
    return None if value is None else value.with_n(f".{digits}f")
