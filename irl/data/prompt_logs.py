"""Logs of prompts: which prompt was tried on which query, and how that came out.

A log has `query`, `prompt` and `outcome`, a number from 0 (failed) to 1 (succeeded) that means the
same under every prompt; `response`, the answer that was judged, may stand beside them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from irl.data.prompts import PROMPT_NAMES, prompt_id, text
from irl.data.rows import Cells, Columns, RowError, Table, read_table

_LOG = Columns((("query", "prompt", "outcome"),), optional=("response",))
QUERY_NAMES = ("query", *PROMPT_NAMES)
CANDIDATE_NAMES = ("prompt", "candidate", "system")


@dataclass(frozen=True)
class LoggedOutcome:
    """One trial."""

    line: int
    query_id: str
    query: str
    prompt_id: str
    prompt: str
    outcome: float
    response: str | None = None


@dataclass(frozen=True)
class NamedText:
    """A query or a candidate prompt, named by its content."""

    line: int
    id: str
    text: str


def read_prompt_log(source: str | Path) -> Table[LoggedOutcome]:
    """Read `query`, `prompt` and `outcome`, maybe `response`; a pair may be tried several times.

    Raises:
        InputError: the source cannot be read, lacks the columns or has no usable row.
    """
    return read_table(source, _LOG, _logged)


def read_queries(source: str | Path) -> Table[NamedText]:
    """Read the column `query`, else `prompt`, `question` or `input`; repeated ones are refused.

    Raises:
        InputError: the source cannot be read, lacks the column or has no usable row.
    """
    return _read_texts(source, QUERY_NAMES, "query")


def read_candidates(source: str | Path) -> Table[NamedText]:
    """Read the column `prompt`, else `candidate` or `system`; repeated ones are refused.

    Raises:
        InputError: the source cannot be read, lacks the column or has no usable row.
    """
    return _read_texts(source, CANDIDATE_NAMES, "prompt")


def _read_texts(source: str | Path, names: Sequence[str], what: str) -> Table[NamedText]:
    columns = Columns(tuple((name,) for name in names))
    first_lines: dict[str, int] = {}
    return read_table(source, columns, partial(_named, first_lines, names, what))


def _logged(line: int, cells: Cells) -> tuple[LoggedOutcome]:
    query, prompt = (_cell(cells, name) for name in ("query", "prompt"))
    response = None if cells.get("response") is None else _cell(cells, "response")
    outcome = _outcome(cells.get("outcome"))
    names = prompt_id(query), query, prompt_id(prompt), prompt
    return (LoggedOutcome(line, *names, outcome, response),)


def _cell(cells: Cells, name: str) -> str:
    if name not in cells:
        raise RowError(f"{name} is missing")
    return text(cells[name], name)


def _outcome(value: object) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise RowError(f"outcome is {value!r}, not a number from 0 to 1") from None
    if not (math.isfinite(number) and 0 <= number <= 1):
        raise RowError(f"outcome is {number:g}, not a number from 0 to 1")
    return number


def _named(
    first_lines: dict[str, int], names: Sequence[str], what: str, line: int, cells: Cells
) -> tuple[NamedText]:
    found = next((name for name in names if name in cells), None)
    if found is None:
        raise RowError(f"{what} is missing")
    said = text(cells[found], found)
    name = prompt_id(said)
    first = first_lines.setdefault(name, line)
    if first != line:
        raise RowError(f"same {what} as line {first}")
    return (NamedText(line, name, said),)
