"""Nats as the colour behind a token: one diverging, symmetric scale per run.

Nought is transparent, blue is a gain and orange a loss, which colour-blind eyes keep apart. Full
colour stands at the 98th percentile of the responses' strongest tokens, so that one odd token
does not pale the rest, and every response of a run is drawn alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa

from explain.tokens import Answer, Token, visible

PAID: Final = "#2A87C4"
CHARGED: Final = "#D55E00"
QUIET: Final = "#808080"
PERCENTILE: Final = 98
OPAQUE: Final = 0.8
"Of full colour; the text is still read on it"

Colour = Literal["paid_for", "value_gained"]
COLUMNS: Final[dict[Colour, str]] = {
    "paid_for": "paid_for_nats",
    "value_gained": "log_ratio_nats",
}
NAMES: Final[dict[Colour, str]] = {"paid_for": "paid for", "value_gained": "value gained"}


@dataclass(frozen=True)
class Shade:
    """A token ready to be shown."""

    text: str
    "untrusted"
    special: bool
    background: str
    "a CSS colour"
    hover: str
    "exact values, in words; untrusted"


def scale_nats(tokens: pa.Table, colour: Colour) -> float:
    """Where full colour stands in a table like tokens.parquet."""
    strongest = [
        max(map(abs, row)) for row in tokens[COLUMNS[colour]].to_pylist() if row and any(row)
    ]
    return float(np.percentile(strongest, PERCENTILE)) if strongest else 1.0


def shade(answer: Answer, colour: Colour, scale: float) -> list[Shade]:
    """The tokens of an answer in colour."""
    values: list[float | None] = [getattr(token, COLUMNS[colour]) for token in answer.tokens]
    return [
        Shade(
            text=visible(token.text),
            special=token.special,
            background=background(nats, scale),
            hover="\n".join([*_told(token), *place]),
        )
        for token, nats, place in zip(answer.tokens, values, _places(values), strict=True)
    ]


def shade_values(values: Sequence[tuple[str, float]], name: str, scale: float) -> list[Shade]:
    """Segments of a text in colour.

    Args:
        values: each segment with what a method attributes to it; untrusted.
        name: of the method.
        scale: where full colour stands.
    """
    places = _places([value for _, value in values])
    return [
        Shade(
            text=visible(text),
            special=False,
            background=background(value, scale),
            hover="\n".join([f"“{visible(text).strip()}”", f"{name}: {value:+.3f}", *place]),
        )
        for (text, value), place in zip(values, places, strict=True)
    ]


def background(nats: float | None, scale: float) -> str:
    """The CSS colour of a value, full at the scale and beyond."""
    share = min(abs(nats or 0.0) / scale, 1.0) * OPAQUE
    if share < 0.005:  # would be rounded to nothing
        return "transparent"
    return f"rgba({_channels(PAID if (nats or 0.0) > 0 else CHARGED)}, {share:.2f})"


def gradient() -> str:
    """The legend's bar as a CSS background, from a full loss to a full gain."""
    ends = [f"rgba({_channels(end)}, {OPAQUE})" for end in (CHARGED, PAID)]
    middle = [f"rgba({_channels(end)}, 0)" for end in (CHARGED, PAID)]
    return f"linear-gradient(to right, {ends[0]}, {middle[0]} 50%, {middle[1]} 50%, {ends[1]})"


def _channels(colour: str) -> str:
    """The red, green and blue of #rrggbb as CSS writes them."""
    return ", ".join(str(int(colour[at : at + 2], 16)) for at in (1, 3, 5))


def _told(token: Token) -> list[str]:
    paid: Any = token.paid_for_nats
    many = f" ({token.n_tokens} tokens)" if token.n_tokens > 1 else ""
    return [
        f"“{visible(token.text).strip()}”" + (" (special token)" if token.special else many),
        "paid for: not measured" if paid is None else f"paid for: {paid:+.3f} nats",
        f"value gained: {token.log_ratio_nats:+.3f} nats",
        f"aligned: {token.aligned_nats:.3f} nats",
        f"reference: {token.reference_nats:.3f} nats",
    ]


def _places(values: Sequence[float | None]) -> list[list[str]]:
    """Where each stands among all by size, in words; nothing for nought and what is missing."""
    sizes = sorted((abs(value) for value in values if value), reverse=True)
    first = {size: place for place, size in reversed(list(enumerate(sizes, start=1)))}
    return [
        [f"by size: {first[abs(value)]} of {len(values)} here"] if value else [] for value in values
    ]
