"""Preferences: pairs, groups and single labels, all turned into labelled responses.

A row is, in this order, whichever it has the columns for:

1. chosen + rejected     TRL's preference type and RewardBench. Lists of strings are a group
                         (RewardBench 2). Without a prompt column the two share it as a prefix.
2. completion + label    TRL's unpaired preference type (KTO)
3. text + label          labelled texts without prompts
"""

import math
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Literal

from irl.data.prompts import (
    PROMPT_NAMES,
    TYPE_NAME,
    Prompt,
    answer,
    continued,
    last_turn,
    prompt_id,
    prompt_in,
    text,
    type_in,
)
from irl.data.rows import Cells, Columns, RowError, Table, read_table

_PROMPTS = (*PROMPT_NAMES, "messages")
_COLUMNS = Columns(
    (("chosen", "rejected"), ("completion", "label"), ("text", "label")),
    optional=(*_PROMPTS, TYPE_NAME),
)
_HH_HUMAN, _HH_ASSISTANT = "Human:", "\n\nAssistant:"
_WORDS = {"true": 1.0, "false": 0.0}


@dataclass(frozen=True)
class LabelledResponse:
    """A response with a label; higher is better, and only within the prompt."""

    line: int
    prompt_id: str
    prompt: Prompt
    response: str
    label: float
    "1 for chosen, 0 for rejected, the given number for unpaired rows"
    pair_id: str | None
    "shared by the responses of one row; None for unpaired rows"
    cluster: str
    "the unit of the bootstrap: the prompt; where that is empty, the pair or the row"
    prompt_type: str | None = None
    "the kind of prompt, where the source names one"


@dataclass(frozen=True)
class Comparison:
    """What one row compares."""

    prompt: Prompt
    chosen: tuple[str, ...]
    rejected: tuple[str, ...]


def read_preferences(source: str | Path) -> Table[LabelledResponse]:
    """Read preference pairs, groups or labelled responses; one row may give several.

    Args:
        source: a .jsonl, .json, .parquet or .csv file, or a hub dataset id `owner/name[:split]`.

    Raises:
        InputError: the source cannot be read, lacks the columns or has no usable row.
    """
    return read_table(source, _COLUMNS, _typed)


def _typed(line: int, cells: Cells) -> tuple[LabelledResponse, ...]:
    kind = type_in(cells)
    return tuple(replace(row, prompt_type=kind) for row in _labelled(line, cells))


def _labelled(line: int, cells: Cells) -> tuple[LabelledResponse, ...]:
    match cells:
        case {"chosen": _, "rejected": _}:
            return _compared(line, cells)
        case {"completion": completion, "label": label}:
            given = prompt_in(cells, _PROMPTS)
            prompt, response = answer("" if given is None else given, completion, "completion")
            return (_labelled_response(line, prompt, response, _number(label), None),)
        case {"text": words, "label": label}:
            return (_labelled_response(line, "", text(words, "text"), _number(label), None),)
        case _:
            raise RowError(f"the columns {', '.join(cells)} are not enough; expected {_COLUMNS}")


def _labelled_response(
    line: int, prompt: Prompt, response: str, label: float, pair_id: str | None
) -> LabelledResponse:
    name = prompt_id(prompt)
    cluster = name if prompt else pair_id or f"row-{line}"
    return LabelledResponse(line, name, prompt, response, label, pair_id, cluster)


def _compared(line: int, cells: Cells) -> tuple[LabelledResponse, ...]:
    compared = comparison(cells)
    if not any(compared.chosen + compared.rejected):
        raise RowError("chosen and rejected are both empty")
    if {*compared.chosen} & {*compared.rejected}:
        raise RowError("chosen equals rejected")
    labelled = [(one, 1.0) for one in compared.chosen] + [(one, 0.0) for one in compared.rejected]
    return tuple(
        _labelled_response(line, compared.prompt, response, label, str(line))
        for response, label in labelled
    )


def comparison(cells: Cells) -> Comparison:
    """What the columns chosen and rejected, and a prompt if there is one, compare.

    Raises:
        RowError: they compare nothing.
    """
    prompt = prompt_in(cells, _PROMPTS)
    chosen, rejected = cells["chosen"], cells["rejected"]
    match _kind(chosen, "chosen"), _kind(rejected, "rejected"):
        case "text", "text":
            return _of_texts(prompt, str(chosen), str(rejected))
        case "messages", "messages":
            return _of_messages(prompt, _items(chosen), _items(rejected))
        case "texts", "texts":
            good = tuple(text(one, "a response in chosen") for one in _items(chosen))
            bad = tuple(text(one, "a response in rejected") for one in _items(rejected))
            return Comparison("" if prompt is None else prompt, good, bad)
        case one, other:
            raise RowError(f"chosen holds {one}, but rejected holds {other}")


def _kind(value: object, name: str) -> Literal["text", "texts", "messages"]:
    if not isinstance(value, list):
        text(value, name)
        return "text"
    if not value:
        raise RowError(f"{name} is an empty list")
    return "messages" if isinstance(value[0], dict) else "texts"


def _items(value: object) -> list[object]:
    assert isinstance(value, list)
    return value


def _of_messages(prompt: Prompt | None, chosen: list[object], rejected: list[object]) -> Comparison:
    earlier, good = last_turn(chosen, "chosen")
    others, bad = last_turn(rejected, "rejected")
    if earlier != others:
        raise RowError(
            "chosen and rejected answer different conversations: their earlier messages differ"
        )
    return Comparison(continued(prompt or "", earlier), (good,), (bad,))


def _of_texts(prompt: Prompt | None, chosen: str, rejected: str) -> Comparison:
    if prompt is not None:
        return Comparison(prompt, (chosen,), (rejected,))
    shared = shared_prompt(chosen, rejected)
    cut = len(shared)
    return Comparison(shared, (chosen[cut:],), (rejected[cut:],))


def shared_prompt(chosen: str, rejected: str) -> str:
    r"""Find the prompt that two texts share as a prefix.

    In transcripts like HH-RLHF's ("\n\nHuman: ... \n\nAssistant: ...") it ends with the last
    "Assistant:" that is shared. Elsewhere it ends before the last shared whitespace, so that
    each response begins with its whitespace and no word is cut.
    """
    pairs = enumerate(zip(chosen, rejected, strict=False))
    end = next((n for n, (one, other) in pairs if one != other), min(len(chosen), len(rejected)))
    prefix = chosen[:end]
    marker = prefix.rfind(_HH_ASSISTANT)
    if marker >= 0 and _HH_HUMAN in prefix[:marker]:
        return prefix[: marker + len(_HH_ASSISTANT)]
    before_last_word = f"{prefix}.".rsplit(maxsplit=1)[:-1]
    return before_last_word[0] if before_last_word else ""


def _number(label: object) -> float:
    try:
        if isinstance(label, str):
            number = _WORDS.get(label.strip().lower())
            return _finite(float(label) if number is None else number)
        if isinstance(label, int | float | Decimal):
            return _finite(float(label))
    except (ValueError, OverflowError):
        pass
    raise RowError(f"label is {'null' if label is None else repr(label)[:50]}, not a number")


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise ValueError(number)
    return number
