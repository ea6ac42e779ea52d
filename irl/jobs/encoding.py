"""Rows to tokens at the edge of a job: what cannot be encoded is refused by line, and said."""

import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

from irl.data import PromptRow, RefusedRow
from irl.errors import InputError
from irl.policies.template import as_chat, encode_prompt
from irl.runs import RunFolder

_LOG = logging.getLogger("irl")
_NAMED = 3
"Refused rows named one by one; log.jsonl names them all"


@runtime_checkable
class Row(Protocol):
    """Anything read from a line of a source."""

    @property
    def line(self) -> int:
        """Where it was read."""
        ...


SomeRow = TypeVar("SomeRow", bound=Row)
Encoded = TypeVar("Encoded")


def encode_rows(
    rows: Sequence[SomeRow], encode: Callable[[SomeRow], Encoded], source: str
) -> tuple[list[SomeRow], list[Encoded], list[RefusedRow]]:
    """Encode what can be encoded; the rest is refused with its line and the reason.

    Raises:
        InputError: nothing is left.
    """
    kept, encoded, refused = [], [], []
    for row in rows:
        try:
            encoded.append(encode(row))
        except InputError as error:
            refused.append(RefusedRow(row.line, str(error)))
        else:
            kept.append(row)
    if not kept:
        raise InputError(
            f"None of the {len(rows)} rows of {source} can be used; line {refused[0].line}: "
            f"{refused[0].reason}."
        )
    return kept, encoded, refused


def within(n_tokens: int, room: int) -> None:
    """Refuse what does not fit into the context."""
    if n_tokens > room:
        raise InputError(f"{n_tokens} tokens, but the context leaves room for {max(room, 0)}")


def encode_prompts(
    rows: Sequence[PromptRow], tokenizer: Any, room: int, chat: str, source: str
) -> tuple[list[PromptRow], list[tuple[int, ...]], list[RefusedRow]]:
    """Encode the prompts that leave room for an answer; the rest is refused.

    Raises:
        InputError: nothing is left.
    """

    def encode(row: PromptRow) -> tuple[int, ...]:
        ids = encode_prompt(tokenizer, as_chat(row.prompt, chat))
        within(len(ids), room)
        return ids

    return encode_rows(rows, encode, source)


def log_refused(run: RunFolder, source: str, refused: Sequence[RefusedRow]) -> None:
    """Name every refused row in log.jsonl, and warn of the first few."""
    for row in refused:
        run.log("refused", source=source, line=row.line, reason=row.reason)
    for row in refused[:_NAMED]:
        _LOG.warning("%s, line %d is left out: %s", source, row.line, row.reason)
    if len(refused) > _NAMED:
        _LOG.warning("%s: %d rows are left out in all (see log.jsonl)", source, len(refused))
