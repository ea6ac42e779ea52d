"""Trust: may a reward be believed here, which responses need a person, which prompt to choose."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import streamlit as st

from dashboard import loading
from dashboard.widgets.prompts import show_prompts
from dashboard.widgets.run_choice import choose_of
from dashboard.widgets.trust import show_trust
from irl.errors import RunError

_SHOWN: Mapping[str, Callable[[loading.Run], None]] = MappingProxyType(
    {"trust": show_trust, "prompts": show_prompts}
)


def render() -> None:
    """The page of the run that the URL names, or the newest of its kinds."""
    found = [run for run in loading.runs() if _asks(run)]
    if not found:
        st.code("irl trust --reward ENSEMBLE --policy P --prompts prompts.jsonl", language=None)
    nothing = (
        "No run of irl trust, irl prompts or irl audit --full is here; the command above, say."
    )
    run = choose_of(found, "Trust", nothing)
    if run is None:
        return
    if run.state != "finished":
        st.title(f"This run is {run.state}")
        st.text("The command that began it continues it; --fresh repeats it.")
        return
    try:
        _SHOWN.get(str(run.command), show_trust)(run)
    except RunError as error:
        st.text(str(error))


def _asks(run: loading.Run) -> bool:
    """Whether a run is about trust, or a full audit that holds an answer."""
    return run.command in loading.TRUST or (
        run.state == "finished" and (run.path / loading.TRUST_FILE).is_file()
    )
