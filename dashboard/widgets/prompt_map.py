"""Prompts on a map, coloured by drift; a click on one shows its answers."""

from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import streamlit as st

from dashboard import answers
from dashboard.atlas import Atlas, atlas
from dashboard.widgets.address import go, here
from dashboard.widgets.plain import PLOT, nats, table
from explain.drift_figures import map_of_prompts
from irl.errors import RunError

KEY: Final = "map_of_prompts"
_text = st.column_config.TextColumn


def show_prompt_map(run: Path) -> None:
    """The map, and the answers to the prompt in the URL."""
    st.subheader("Map of prompts")
    try:
        found = atlas(run)
    except RunError as error:
        st.text(str(error))
        return
    if found is None:
        st.text("The prompts share too few words to be laid out.")
    else:
        _map(found)
    if (response := here().response) is not None:
        _answers(run, response)


def _map(found: Atlas) -> None:
    st.caption(_about(found))
    st.plotly_chart(
        map_of_prompts(found.points),
        config=PLOT,
        alt="Prompts by their words, coloured by the drift of the answers to them",
        key=KEY,
        on_select=_follow_point,
        selection_mode="points",
    )


def _about(found: Atlas) -> str:
    some = "" if len(found.points) == found.prompts else f" {len(found.points)} of {found.prompts}."
    return (
        "Each prompt by its words: those that share many lie near each other, as far as two "
        f"directions can tell, which hold {found.share:.0%} of what tells them apart.{some} "
        "Colour: mean log-ratio of the aligned policy's answers. A click shows them."
    )


def _follow_point() -> None:
    points: Any = st.session_state[KEY]["selection"]["points"]
    go(response=points[0]["customdata"][0] if points else None)


def _answers(run: Path, response_id: str) -> None:
    """All answers to the prompt of a response; from the URL."""
    try:
        row = answers.response(run, response_id)
        found = answers.answers_to(run, response_id)
    except RunError as error:
        st.text(str(error))
        return
    with st.container(border=True):
        st.caption("prompt")
        st.code(row["prompt"], language=None, wrap_lines=True)
        columns = {
            "source": _text("answer of"),
            "log_ratio_nats": nats("log-ratio, nats"),
            "response": _text("answer", width="large"),
        }
        table(found, columns, height="content")
        query = urlencode({"run": run.name, "response": response_id})
        st.link_button("Read them token by token", f"attributions?{query}")
