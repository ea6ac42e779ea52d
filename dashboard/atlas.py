"""The map of a run's prompts; what was laid out is cached."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import streamlit as st

from dashboard import queries
from dashboard.states import known, or_why, told
from explain.drift_figures import PromptPoint
from explain.prompt_map import prompt_map
from explain.words import readable_prompt

MOST_PROMPTS: Final = 2000
"Drawn; of more, these are picked by their hashes"


@dataclass(frozen=True)
class Atlas:
    """Prompts on a map."""

    points: list[PromptPoint]
    prompts: int
    "that there are"
    share: float
    "of what tells the prompts' words apart that the map holds"


def atlas(run: Path) -> Atlas | None:
    """The map of the prompts that the aligned policy answered; None with nothing to tell apart.

    Raises:
        RunError: the run has no responses, or they cannot be read.
    """
    file = run / "responses.parquet"
    return told(_atlas(str(file), known(file)))


@st.cache_data(show_spinner=False, max_entries=20)
def _atlas(file: str, changed: int) -> Atlas | str | None:
    del changed  # part of the key only
    return or_why(lambda: _laid_out(Path(file)))


def _laid_out(file: Path) -> Atlas | None:
    rows = queries.some_prompts(file, MOST_PROMPTS).to_pylist()
    texts = [readable_prompt(row["prompt"] or "") for row in rows]
    found = prompt_map(texts)
    if found is None:
        return None
    points = [
        PromptPoint(place, text, row["kl_nats"], row["answers"], row["response_id"])
        for place, text, row in zip(found.places, texts, rows, strict=True)
    ]
    return Atlas(points, rows[0]["prompts"], found.share)
