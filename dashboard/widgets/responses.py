"""The responses of a run: pages of a table, and the chosen one in full."""

from pathlib import Path
from typing import Any, Final

import streamlit as st

from dashboard.loading import ORDERS, Order, Page, responses
from dashboard.widgets.plain import nats, table
from irl.errors import RunError

SOURCES: Final = {"all": None, "aligned": "aligned", "reference": "reference"}
_text, _number = st.column_config.TextColumn, st.column_config.NumberColumn


def browse_responses(run: Path) -> None:
    """Choose, turn pages, read."""
    source, order = _choose()
    page_key = f"page of {run.name}, {source}, {order}"
    try:
        page = responses(run, source=source, order=order, number=st.session_state.get(page_key, 1))
    except RunError as error:
        st.text(str(error))
        return
    chosen = _show(page, f"{page_key}, {page.number}")
    st.pagination(page.n_pages, key=page_key)
    st.caption(f"{page.n_responses} responses")
    for at in chosen:
        _in_full(page.rows.slice(at, 1).to_pylist()[0])


def _choose() -> tuple[str | None, Order]:
    """Whose responses, and in which order."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        source = st.segmented_control(
            "Source", list(SOURCES), default="all", required=True, key="responses_source"
        )
        order = st.selectbox(
            "Order, over the whole run", list(ORDERS), key="responses_order", width=260
        )
    return SOURCES[source], order


def _show(page: Page, key: str) -> list[int]:
    """The table; the rows that are selected in it."""
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
    state = table(
        page.rows,
        columns,
        height="content",
        key=key,
        on_select="rerun",
        selection_mode="single-row",
    )
    rows: list[int] = state["selection"]["rows"]
    return rows


def _in_full(row: dict[str, Any]) -> None:
    for name in ("prompt", "response"):
        st.caption(name)
        st.code(row[name], language=None, wrap_lines=True)
