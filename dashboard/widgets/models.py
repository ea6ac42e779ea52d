"""The models of the workbench: one pair for all who look at the dashboard, and how it is freed."""

import streamlit as st

from dashboard.workbench import Workbench

_MEBIBYTE = 2**20


@st.cache_resource(show_spinner=False, on_release=Workbench.free)
def bench() -> Workbench:
    """The one of this dashboard; it holds nothing before the first score."""
    return Workbench()


def show_memory() -> None:
    """What is in memory, and a button that frees it."""
    held = bench().held
    if held is None:
        st.caption("No model is in memory; the first score loads them, which takes a while.")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        size = bench().memory_bytes
        told = "" if size is None else f", {size / _MEBIBYTE:,.0f} MiB"
        st.text(f"In memory: the pair of {held.name}{told}", width="content")
        st.button(
            "Free the models",
            on_click=bench().free,
            help="Ends the process that holds them; the next score loads them again.",
        )
