"""Maps: what attribution methods say of segments, for the answers that a full audit explained."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import streamlit as st

from dashboard.queries import ask
from dashboard.states import last_change, or_why, told
from explain.shading import PERCENTILE
from irl.errors import RunError

FILE: Final = "attributions.parquet"
Segments = list[tuple[str, float]]
"Each with what is attributed to it; texts are untrusted"


@dataclass(frozen=True)
class Map:
    """One answer by one method: segments add up to target - baseline, but for the gap."""

    prompt: Segments
    response: Segments
    target: float
    "what is explained, of this answer"
    baseline: float
    "the same of nothing"
    relative_gap: float
    "what is not accounted for, as a share"


def maps(run: Path, response_id: str) -> dict[str, Map]:
    """By method; empty where this answer was not explained.

    Raises:
        RunError: the table cannot be read.
    """
    changed = last_change(run / FILE)
    return {} if changed is None else told(_maps(str(run / FILE), changed, response_id))


def mapped(run: Path) -> tuple[str, ...]:
    """The ids of the answers that have maps.

    Raises:
        RunError: the table cannot be read.
    """
    changed = last_change(run / FILE)
    return () if changed is None else told(_mapped(str(run / FILE), changed))


def map_scale(run: Path, method: str) -> float:
    """Where full colour stands, for all answers that one method explained.

    Raises:
        RunError: the table is missing or cannot be read.
    """
    changed = last_change(run / FILE)
    if changed is None:
        raise RunError(f"This run has no {FILE}.")
    return told(_scale(str(run / FILE), changed, method))


@st.cache_data(show_spinner=False, max_entries=200)
def _maps(file: str, changed: int, response_id: str) -> dict[str, Map] | str:
    del changed  # part of the key only
    asked = "SELECT * FROM read_parquet($file) WHERE response_id = $response_id ORDER BY method"

    def read() -> dict[str, Map]:
        rows = ask(asked, Path(file), response_id=response_id).to_pylist()
        try:
            return {row["method"]: _map(row) for row in rows}
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(f"{FILE} cannot be read ({error}).") from error

    return or_why(read)


def _map(row: dict[str, Any]) -> Map:
    given = list(zip(row["segments"], row["values"], row["in_response"], strict=True))
    return Map(
        prompt=[(text, value) for text, value, inside in given if not inside],
        response=[(text, value) for text, value, inside in given if inside],
        **{name: float(row[name]) for name in ("target", "baseline", "relative_gap")},
    )


@st.cache_data(show_spinner=False, max_entries=100)
def _mapped(file: str, changed: int) -> tuple[str, ...] | str:
    del changed  # part of the key only
    asked = "SELECT DISTINCT response_id FROM read_parquet($file) ORDER BY response_id"
    return or_why(lambda: tuple(ask(asked, Path(file))["response_id"].to_pylist()))


@st.cache_data(show_spinner=False, max_entries=100)
def _scale(file: str, changed: int, method: str) -> float | str:
    del changed  # part of the key only
    asked = (
        'SELECT list_max(list_transform("values", lambda value: abs(value))) AS most '
        "FROM read_parquet($file) WHERE method = $method"
    )

    def scale() -> float:
        most = [one for one in ask(asked, Path(file), method=method)["most"].to_pylist() if one]
        return float(np.percentile(most, PERCENTILE)) if most else 1.0

    return or_why(scale)
