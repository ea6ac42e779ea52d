"""Which run is shown."""

from collections.abc import Collection, Sequence
from typing import Final

import streamlit as st

from dashboard.selection import Selection

KEY: Final = "chosen_run"
LAST: Final = "last_run"


def choose_run(names: Sequence[str], examples: Collection[str], selection: Selection) -> str | None:
    """The run to show; None if the URL names one that is unknown.

    Where it names none: the one that was looked at last, on whatever page, else the newest.
    """
    last = st.session_state.get(LAST)
    chosen = selection.run or str(last if last in names else names[0])
    known = chosen in names
    st.session_state[KEY] = chosen if known else None
    index = 0 if known else None  # None would let the reader clear the choice
    st.selectbox(
        "Run",
        names,
        index=index,
        format_func=lambda name: f"{name} (example)" if name in examples else name,
        key=KEY,
        on_change=_follow_choice,
    )
    if known:
        st.session_state[LAST] = chosen
        st.query_params["run"] = chosen
        return chosen
    st.warning("There is no run of this name here; choose one above.")
    st.text(chosen)
    return None


def _follow_choice() -> None:
    """The URL is the one truth about what is shown, so that links and the back button work."""
    st.query_params.from_dict(Selection(st.session_state[KEY]).to_query())
