"""Responses and their tokens, a page or a row at a time; what was read is cached."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa
import streamlit as st

from dashboard import queries
from dashboard.queries import Wanted
from dashboard.states import known, last_change, or_why, told
from explain.exhibit import read_texts
from explain.shading import COLUMNS as SHADED
from explain.shading import PERCENTILE, Colour
from explain.tokens import Answer, answer
from explain.words import readable_prompt
from irl.errors import RunError

PAGE_SIZE: Final = 15
SIDE_BY_SIDE: Final = 6
"Answers of each policy to one prompt that are shown beside each other"
COLUMNS: Final = (
    "response_id",
    "prompt",
    "response",
    "source",
    "n_tokens",
    "log_ratio_nats",
    "reward_nats",
    "reward_low_nats",
    "reward_high_nats",
)
Order = Literal[
    "as written",
    "log-ratio, high to low",
    "log-ratio, low to high",
    "reward, high to low",
    "reward, low to high",
    "interval of the reward, wide to narrow",
    "log-ratio and reward apart, most first",
]
ORDERS: Final[dict[Order, tuple[str, str] | None]] = {
    "as written": None,
    "log-ratio, high to low": ("log_ratio_nats", "descending"),
    "log-ratio, low to high": ("log_ratio_nats", "ascending"),
    "reward, high to low": ("reward_nats", "descending"),
    "reward, low to high": ("reward_nats", "ascending"),
    "interval of the reward, wide to narrow": (
        "reward_high_nats - reward_low_nats",
        "descending",
    ),
    "log-ratio and reward apart, most first": ("abs(centred_nats - reward_nats)", "descending"),
}
"Order of the responses, and the column and direction that it means"


EVERY: Final = Wanted()


@dataclass(frozen=True)
class Page:
    """Some of the rows that were asked for."""

    rows: pa.Table
    number: int
    n_pages: int
    "at least one, which may be empty"
    n: int
    "over all pages"


def responses(
    run: Path, wanted: Wanted = EVERY, *, order: Order = "as written", number: int = 1
) -> Page:
    """One page of a run's responses.

    Args:
        run: the run folder.
        wanted: which responses.
        order: over the whole run, not the page; missing values come last.
        number: of the page, from 1; beyond the last means the last.

    Raises:
        RunError: the run has no such table, or it cannot be read.
    """
    file = run / "responses.parquet"
    return told(_responses(str(file), known(file), wanted, order, number))


def all_responses(run: Path, most: int) -> list[dict[str, Any]]:
    """Every response, in the order written; not kept in a cache.

    Raises:
        RunError: the run has no responses, or they cannot be read.
    """
    file = run / "responses.parquet"
    known(file)
    rows: list[dict[str, Any]] = queries.page(file, COLUMNS, Wanted(), None, (0, most)).to_pylist()
    return rows


def response(run: Path, response_id: str) -> dict[str, Any]:
    """One row of a run's responses, whatever page it stands on.

    Raises:
        RunError: the run has no such response, or its table cannot be read.
    """
    file = run / "responses.parquet"
    row = _row(file, known(file), response_id)
    missing = [name for name in COLUMNS if name not in row]
    if missing:
        raise RunError(f"responses.parquet lacks the columns {', '.join(missing)}.")
    return row | {"prompt": readable_prompt(row["prompt"] or "")}


def answers_to(run: Path, response_id: str) -> list[dict[str, Any]]:
    """The answers to the prompt of a response, at most `SIDE_BY_SIDE` of each policy.

    Raises:
        RunError: the run has no responses, or they do not tell their prompt.
    """
    file = run / "responses.parquet"
    return told(_siblings(str(file), known(file), response_id))


def answers_to_same_prompt(run: Path, response_id: str) -> list[dict[str, Any]]:
    """The others among `answers_to` it.

    Raises:
        RunError: the run has no responses, or they do not tell their prompt.
    """
    return [row for row in answers_to(run, response_id) if row["response_id"] != response_id]


def texts(run: Path, response_ids: Sequence[str]) -> dict[str, str]:
    """Some responses by their ids; empty where the run has not kept them."""
    changed = last_change(run / "responses.parquet")
    return {} if changed is None else _texts(str(run), changed, tuple(response_ids))


def tokens(run: Path, response_id: str) -> Answer:
    """The tokens of one response with their nats.

    Raises:
        RunError: the run holds none, or they cannot be read.
    """
    file = run / "tokens.parquet"
    row = _row(file, known(file), response_id)
    try:
        return answer(response(run, response_id), row)
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"The tokens of this response cannot be read ({error}).") from error


def scale(run: Path, colour: Colour) -> float:
    """Where full colour stands, for every response of a run alike.

    Raises:
        RunError: the run holds no tokens, or they cannot be read.
    """
    file = run / "tokens.parquet"
    return told(_scale(str(file), known(file), colour))


def _row(file: Path, changed: int, response_id: str) -> dict[str, Any]:
    return told(_one_row(str(file), changed, response_id))


@st.cache_data(show_spinner=False, max_entries=100)
def _responses(file: str, changed: int, wanted: Wanted, order: Order, number: int) -> Page | str:
    """The page, or a sentence that says why it cannot be read."""
    del changed  # part of the key only
    return or_why(lambda: _page(Path(file), wanted, order, number))


def _page(file: Path, wanted: Wanted, order: Order, number: int) -> Page:
    missing = sorted(set(COLUMNS) - set(queries.columns(file)), key=COLUMNS.index)
    if missing:
        raise RunError(f"{file.name} lacks the columns {', '.join(missing)}.")
    n = queries.count(file, wanted)
    n_pages = max(1, -(-n // PAGE_SIZE))
    number = min(max(number, 1), n_pages)
    place = (number - 1) * PAGE_SIZE, PAGE_SIZE
    rows = queries.page(file, COLUMNS, wanted, ORDERS[order], place)
    return Page(readable(rows), number, n_pages, n)


def paged(ask: Callable[[tuple[int, int]], pa.Table], counted: str, number: int) -> Page:
    """One page of what is asked for; the first where there is none of this number.

    Args:
        ask: given how many rows to pass over and to take.
        counted: the column that says how many there are.
        number: from 1.
    """
    rows = ask(((number - 1) * PAGE_SIZE, PAGE_SIZE))
    if number > 1 and not rows.num_rows:
        return paged(ask, counted, 1)
    n = rows[counted][0].as_py() if rows.num_rows else 0
    shown = readable(rows) if "prompt" in rows.column_names else rows
    return Page(shown, number, max(1, -(-n // PAGE_SIZE)), n)


def readable(rows: pa.Table) -> pa.Table:
    """Prompts as people write them down."""
    prompts = [readable_prompt(text or "") for text in rows["prompt"].to_pylist()]
    at = rows.column_names.index("prompt")
    return rows.set_column(at, "prompt", pa.array(prompts, pa.string()))


@st.cache_data(show_spinner=False, max_entries=200)
def _one_row(file: str, changed: int, response_id: str) -> dict[str, Any] | str:
    """The row of a response, or a sentence that says why there is none."""
    del changed  # part of the key only
    return or_why(lambda: queries.row(Path(file), response_id))


@st.cache_data(show_spinner=False, max_entries=100)
def _siblings(file: str, changed: int, response_id: str) -> list[dict[str, Any]] | str:
    del changed  # part of the key only
    names = ("response_id", "source", "response", "log_ratio_nats", "reward_nats")
    return or_why(lambda: queries.answers(Path(file), names, response_id, SIDE_BY_SIDE).to_pylist())


@st.cache_data(show_spinner=False, max_entries=100)
def _texts(run: str, changed: int, response_ids: tuple[str, ...]) -> dict[str, str]:
    del changed  # part of the key only
    return read_texts(Path(run), response_ids)


@st.cache_data(show_spinner=False, max_entries=100)
def _scale(file: str, changed: int, colour: Colour) -> float | str:
    """Where full colour stands, or a sentence that says why nobody knows."""
    del changed  # part of the key only
    return or_why(
        lambda: queries.strongest_quantile(Path(file), SHADED[colour], PERCENTILE / 100) or 1.0
    )
