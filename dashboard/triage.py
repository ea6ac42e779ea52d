"""The responses of a triage and the queries of a choice of prompts, a page or a row at a time."""

from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import streamlit as st

from dashboard.answers import Page, paged
from dashboard.queries import ask
from dashboard.states import known, or_why, told
from explain.words import readable_prompt
from irl.errors import RunError

TRIAGE: Final = "triage.parquet"
CHOICES: Final = "choices.parquet"
_LISTED: Final = (
    "response_id, prompt, response, category, distance, margin, local_error, local_error_low, "
    "local_error_high, local_pairs"
)


def sorted_out(run: Path, category: str | None, number: int) -> Page:
    """One page of the responses: the furthest from what the reward has seen first.

    Args:
        run: the run folder of an `irl trust`.
        category: of the triage; all if None.
        number: of the page, from 1; the first where there is none of this number.

    Raises:
        RunError: the run has no such table, or it cannot be read.
    """
    asked = (
        f"SELECT {_LISTED}, count(*) OVER () AS n FROM read_parquet($file) "
        "WHERE $wanted IS NULL OR category = $wanted "
        "ORDER BY distance DESC, response_id LIMIT $many OFFSET $first"
    )
    file = run / TRIAGE
    return told(_page(str(file), known(file), asked, category, number))


def triaged(run: Path, response_id: str) -> dict[str, Any]:
    """One response with its nearest held-out answers.

    Raises:
        RunError: the run has no such response, or its table cannot be read.
    """
    asked = "SELECT * FROM read_parquet($file) WHERE response_id = $response_id LIMIT 1"
    rows = ask(asked, run / TRIAGE, response_id=response_id).to_pylist()
    if not rows:
        raise RunError(f"{TRIAGE} has no response of this id.")
    row: dict[str, Any] = rows[0]
    return row | {"prompt": readable_prompt(row["prompt"] or "")}


def choices(run: Path, number: int) -> Page:
    """One page of the queries with their best and worst prompts.

    Raises:
        RunError: the run has no such table, or it cannot be read.
    """
    asked = (
        "SELECT query, advised_prompt, best_prompt, best_value, best_low, best_high, worst_prompt, "
        "worst_value, worst_low, worst_high, count(*) OVER () AS n FROM read_parquet($file) "
        "WHERE $wanted IS NULL ORDER BY worst_value, query_id LIMIT $many OFFSET $first"
    )
    file = run / CHOICES
    return told(_page(str(file), known(file), asked, None, number))


@st.cache_data(show_spinner=False, max_entries=100)
def _page(file: str, changed: int, asked: str, wanted: str | None, number: int) -> Page | str:
    del changed  # part of the key only
    return or_why(lambda: _read(Path(file), asked, wanted, number))


def _read(file: Path, asked: str, wanted: str | None, number: int) -> Page:
    def rows(place: tuple[int, int]) -> pa.Table:
        first, many = place
        return ask(asked, file, wanted=wanted, first=first, many=many)

    return paged(rows, "n", number)
