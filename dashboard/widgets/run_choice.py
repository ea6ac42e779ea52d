"""Which run is shown."""

from collections.abc import Collection, Sequence
from typing import Final

import streamlit as st

from dashboard.loading import Run
from dashboard.selection import Selection

KEY: Final = "chosen_run"
LAST: Final = "last_run"
NO_AUDIT: Final = "There is no audit yet; the page Runs says how to make one."


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


def choose_of(runs: Sequence[Run], title: str, nothing: str) -> Run | None:
    """One of these runs; None if there is none, which is said, or the URL names another.

    Args:
        runs: that the page can show.
        title: of the page, where it is empty.
        nothing: what to do about that.
    """
    if not runs:
        st.title(title)
        st.info(nothing)
        return None
    found = {run.name: run for run in runs}
    examples = {name for name, run in found.items() if run.example}
    name = choose_run(list(found), examples, Selection.from_query(st.query_params))
    return None if name is None else found[name]


def _follow_choice() -> None:
    """The URL is the one truth about what is shown, so that links and the back button work."""
    st.query_params.from_dict(Selection(st.session_state[KEY]).to_query())
