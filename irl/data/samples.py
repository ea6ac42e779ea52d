"""Samples: responses that were drawn before, each with the policy that it came from."""

from dataclasses import dataclass
from pathlib import Path

from irl.data.prompts import Prompt, answer, prompt_id, prompt_in
from irl.data.rows import Cells, Columns, RowError, Table, read_table

SOURCES = ("aligned", "reference", "given")
_COLUMNS = Columns((("prompt", "response"), ("prompt", "completion")), optional=("source",))


@dataclass(frozen=True)
class SampleRow:
    """One response to one prompt; a prompt may have several."""

    line: int
    prompt_id: str
    prompt: Prompt
    response: str
    source: str
    "aligned, reference or given"


def read_samples(source: str | Path) -> Table[SampleRow]:
    """Read `prompt` and `response` (TRL's tables of completions: `completion`), maybe `source`.

    Args:
        source: a .jsonl, .json, .parquet or .csv file, or a hub dataset id `owner/name[:split]`.

    Raises:
        InputError: the source cannot be read, lacks the columns or has no usable row.
    """
    return read_table(source, _COLUMNS, _sample_row)


def _sample_row(line: int, cells: Cells) -> tuple[SampleRow]:
    given = prompt_in(cells, ("prompt",))
    if given is None:
        raise RowError("prompt is missing")
    prompt, response = _response(given, cells)
    return (SampleRow(line, prompt_id(prompt), prompt, response, _source(cells)),)


def _response(prompt: Prompt, cells: Cells) -> tuple[Prompt, str]:
    name = "response" if "response" in cells else "completion"
    if name not in cells:
        raise RowError("response is missing")
    value = cells[name]
    if isinstance(value, list) and len(value) > 1:
        raise RowError(f"{name} has {len(value)} messages, but a sample is a single one")
    return answer(prompt, value, name)


def _source(cells: Cells) -> str:
    value = cells.get("source") or "given"
    if value not in SOURCES:
        raise RowError(f"source is {value!r}, not one of {', '.join(SOURCES)}")
    return str(value)
