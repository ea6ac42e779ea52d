"""A response as tokens with their nats, as the two tables of a run hold it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from explain.words import printable

REPLACEMENT: Final = "\ufffd"
"Stands for a part of a character"
MARKS: Final = {" ": "␣", "\n": "↵\n", "\t": "⇥\t"}


@dataclass(frozen=True)
class Token:
    """One token of a response, or neighbours put together (explain/grouping.py): nats add up."""

    text: str
    "as the model wrote it: untrusted"
    special: bool
    "no text but a sign of the model's, such as the end of the response"
    aligned_nats: float
    reference_nats: float
    log_ratio_nats: float
    "shown as value gained"
    paid_for_nats: float | None
    "None before a reward was recovered"
    n_tokens: int = 1
    "how many were put together"


@dataclass(frozen=True)
class Answer:
    """A response with its tokens."""

    response_id: str
    source: str
    reward_nats: float | None
    "recovered, out of fold, centred within the prompt"
    log_ratio_nats: float
    tokens: list[Token]


def answer(response: Mapping[str, Any], tokens: Mapping[str, Any]) -> Answer:
    """One row of responses.parquet with its row of tokens.parquet.

    Raises:
        KeyError: a column is missing.
        ValueError: the lists of the row differ in length.
    """
    paid = tokens["paid_for_nats"] or [None] * len(tokens["tokens"])
    columns = ("tokens", "aligned_nats", "reference_nats", "log_ratio_nats")
    rows = zip(*(tokens[name] for name in columns), paid, strict=True)
    text = response["response"]
    return Answer(
        response_id=response["response_id"],
        source=response["source"],
        reward_nats=response["reward_nats"],
        log_ratio_nats=response["log_ratio_nats"],
        tokens=[Token(piece, is_special(piece, text), *nats) for piece, *nats in rows],
    )


def is_special(piece: str, response: str) -> bool:
    """Whether a token is no text: the response is stored without those, so it lacks the name."""
    name = piece.strip()
    return bool(name) and REPLACEMENT not in name and name not in response


def visible(piece: str) -> str:
    """A token as it is shown: control characters escaped, white space alone by a mark."""
    if piece and not piece.strip(" \n\t"):
        return "".join(MARKS[character] for character in piece)
    return "".join(c if c in "\n\t" else printable(c) for c in piece)
