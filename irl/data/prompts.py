"""Prompts: plain text or chat messages, each named by a hash of its content."""

import hashlib
import json
import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from irl.data.rows import Cells, Columns, RowError, Table, is_message, is_unicode, read_table

Messages: TypeAlias = tuple[dict[str, str], ...]
Prompt: TypeAlias = str | Messages

PROMPT_NAMES = ("prompt", "question", "input")
TYPE_NAME = "prompt_type"


@dataclass(frozen=True)
class PromptRow:
    """One prompt and where it stood."""

    line: int
    prompt_id: str
    prompt: Prompt
    prompt_type: str | None = None
    "the kind of prompt, where the source names one: an objective may apply to one kind alone"


def read_prompts(source: str | Path) -> Table[PromptRow]:
    """Read the column `prompt`, else `question`, else `input`; repeated prompts are refused.

    The optional column `prompt_type` names the kind of each prompt.

    Args:
        source: a .jsonl, .json, .parquet or .csv file, or a hub dataset id `owner/name[:split]`.

    Raises:
        InputError: the source cannot be read, lacks the column or has no usable row.
    """
    columns = Columns(tuple((name,) for name in PROMPT_NAMES), optional=(TYPE_NAME,))
    first_lines: dict[str, int] = {}
    return read_table(source, columns, partial(_prompt_row, first_lines))


def prompt_id(prompt: Prompt) -> str:
    """Name a prompt by its content: equal prompts, equal names, on every machine.

    The first 12 hex digits of the sha256 of the prompt's canonical JSON: `json.dumps` with sorted
    keys, no spaces and ASCII escapes. Text is taken as it is, without Unicode normalisation, and
    a text never shares its name with the chat that holds the same words.
    """
    canonical = json.dumps(prompt, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()[:12]


def stored_prompt(text: str, name: str) -> Prompt:
    """A prompt as a table of a run holds it, where a chat is stored as JSON.

    Its name tells a chat from a text that only looks like one.
    """
    return text if prompt_id(text) == name else tuple(json.loads(text))


def fold_of(name: str, n_folds: int) -> int:
    """The fold of a prompt by its name: the same in every run and on every machine."""
    return int(name, 16) % n_folds


def prompt_in(cells: Cells, names: tuple[str, ...] = PROMPT_NAMES) -> Prompt | None:
    """Read the prompt under the first of these names that the row has; None if it has none.

    Raises:
        RowError: the row has the column, but neither text nor messages in it.
    """
    for name in names:
        if name in cells:
            value = cells[name]
            return chat(value, name) if isinstance(value, list) else text(value, name)
    return None


def type_in(cells: Cells) -> str | None:
    """Read the optional `prompt_type`; null and the empty cell of a CSV file are no type.

    Raises:
        RowError: it is something else than text.
    """
    value = cells.get(TYPE_NAME)
    return None if value is None else text(value, TYPE_NAME) or None


def text(value: object, name: str) -> str:
    """Check that a value is text; empty text is text.

    Raises:
        RowError: it is null, not a string, or cannot be written as UTF-8.
    """
    if not isinstance(value, str):
        raise RowError(f"{name} is {_described(value)}, not text")
    if not is_unicode(value):
        raise RowError(f"{name} holds half of a surrogate pair, which is not valid Unicode")
    return value


def chat(value: list[object], name: str) -> Messages:
    """Check that a list holds chat messages; of each only role and content are kept.

    Raises:
        RowError: the list is empty, or one of its items is not a message.
    """
    if not value:
        raise RowError(f"{name} is an empty list")
    return tuple(_message(item, f"{name}[{n}]") for n, item in enumerate(value))


def answer(prompt: Prompt, value: object, name: str) -> tuple[Prompt, str]:
    """Read a response: text, or messages that end with the assistant's.

    Messages before the last one belong to the prompt. Where the response is a message, a text
    prompt becomes the message of a user.

    Returns:
        The prompt, with the earlier messages appended, and the response.

    Raises:
        RowError: the value is neither, or its last message is not the assistant's.
    """
    if not isinstance(value, list):
        return prompt, text(value, name)
    earlier, response = last_turn(value, name)
    return continued(prompt, earlier), response


def last_turn(value: list[object], name: str) -> tuple[Messages, str]:
    """Split messages into the earlier ones (maybe none) and the assistant's last words.

    Raises:
        RowError: these are not messages, or the last one is not the assistant's.
    """
    *earlier, last = chat(value, name)
    if last["role"] != "assistant":
        raise RowError(f"the last message of {name} has the role {last['role']}, not assistant")
    return tuple(earlier), last["content"]


def continued(prompt: Prompt, earlier: Messages) -> Prompt:
    """Append earlier messages to a prompt, unless they already begin with it.

    Many datasets repeat the prompt at the head of each response, some after a system message.
    """
    if not prompt:
        return earlier or prompt
    given: Messages = ({"role": "user", "content": prompt},) if isinstance(prompt, str) else prompt
    systems = next((n for n, one in enumerate(earlier) if one["role"] != "system"), 0)
    if given in (earlier[: len(given)], earlier[systems : systems + len(given)]):
        return earlier
    return given + earlier


def _prompt_row(first_lines: dict[str, int], line: int, cells: Cells) -> tuple[PromptRow]:
    prompt = prompt_in(cells)
    if prompt is None:
        raise RowError("prompt is missing")
    name = prompt_id(prompt)
    first = first_lines.setdefault(name, line)
    if first != line:
        raise RowError(f"same prompt as line {first}")
    return (PromptRow(line, name, prompt, type_in(cells)),)


def _message(value: object, name: str) -> dict[str, str]:
    if not isinstance(value, dict) or not is_message(value):
        raise RowError(f"{name} is not a message with a role and a content that are text")
    return {key: text(value[key], f"{name}.{key}") for key in ("role", "content")}


def _described(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    return f"of type {type(value).__name__}"
