"""An exchange in segments: words, sentences, lines, messages, or what delimiters part.

A cut partitions a text: its pieces, put together, give the text back, so that what is attributed to
them adds up, and removing all of them leaves nothing.
"""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace

from explain.targets import Exchange
from irl.errors import InputError
from irl.policies.spans import Span

Cut = Callable[[str], list[tuple[int, int]]]
"A text to the bounds of its pieces, in order and without gaps"

_WORD = r"\s*(?:\w+(?:['’*]+\w+)*|[^\w\s])"
_SENTENCE = r".*?(?:[.!?]+[\"'”’)\]]*(?:[^\S\n]*\n+|(?=\s|$))|\n+|$)"


def cut_at(pattern: str) -> Cut:
    """Pieces are what a pattern matches; what lies between belongs to the piece that follows."""
    compiled = re.compile(pattern, re.DOTALL)

    def cut(text: str) -> list[tuple[int, int]]:
        ends = sorted({match.end() for match in compiled.finditer(text) if match.end()})
        if not text:
            return []
        if not ends or ends[-1] < len(text):
            ends = [*ends[:-1], len(text)] if ends else [len(text)]
        return list(zip([0, *ends[:-1]], ends, strict=True))

    return cut


words = cut_at(_WORD)
"Words with the white space before them; each punctuation mark on its own"
sentences = cut_at(_SENTENCE)
"Up to a full stop, question or exclamation mark, or the end of the line"
lines = cut_at(r"[^\n]*\n|[^\n]+$")


def whole(text: str) -> list[tuple[int, int]]:
    """One piece, so that a message is one segment."""
    return [(0, len(text))] if text else []


CUTS: dict[str, Cut] = {"word": words, "sentence": sentences, "line": lines, "message": whole}


def by_delimiters(delimiters: Sequence[str]) -> Cut:
    """A new piece begins with every delimiter, such as `<|reflect|>`.

    Raises:
        InputError: there is none, or one is empty.
    """
    if not delimiters or not all(delimiters):
        raise InputError("Delimiters are texts of at least one character; an empty one was given.")
    longest_first = sorted(delimiters, key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, longest_first)))

    def cut(text: str) -> list[tuple[int, int]]:
        starts = sorted({0, *(match.start() for match in pattern.finditer(text))})
        return [(a, b) for a, b in zip(starts, [*starts[1:], len(text)], strict=True) if a < b]

    return cut


def parts(exchange: Exchange) -> list[str]:
    """The texts of an exchange: of the prompt's messages in order, then the response."""
    if isinstance(exchange.prompt, str):
        return [exchange.prompt, exchange.response]
    return [*(turn["content"] for turn in exchange.prompt), exchange.response]


def with_parts(exchange: Exchange, texts: Sequence[str]) -> Exchange:
    """The same exchange with other texts."""
    *said, response = texts
    if isinstance(exchange.prompt, str):
        return replace(exchange, prompt=said[0], response=response)
    turns = tuple(
        {**turn, "content": text} for turn, text in zip(exchange.prompt, said, strict=True)
    )
    return replace(exchange, prompt=turns, response=response)


def segments(exchange: Exchange, cut: Cut, *, prompt: bool = True) -> list[Span]:
    """The segments of an exchange, in order.

    Args:
        exchange: what to cut.
        cut: how.
        prompt: also the prompt's; the response's alone if False.
    """
    texts = parts(exchange)
    first = 0 if prompt else len(texts) - 1
    return [
        Span(part, start, end)
        for part in range(first, len(texts))
        for start, end in cut(texts[part])
    ]


def text_of(exchange: Exchange, segment: Span) -> str:
    """What a segment says. Untrusted text."""
    return parts(exchange)[segment.part][segment.start : segment.end]


def without(exchange: Exchange, removed: Collection[Span]) -> Exchange:
    """The exchange with some segments taken out; the rest moves together."""
    texts = list(parts(exchange))
    for segment in sorted(removed, key=lambda one: (one.part, one.start), reverse=True):
        text = texts[segment.part]
        texts[segment.part] = text[: segment.start] + text[segment.end :]
    return with_parts(exchange, texts)


def owners(tokens: Sequence[Span | None], into: Sequence[Span]) -> Iterator[int | None]:
    """For each token the segment that holds most of it; None if none holds any."""
    for token in tokens:
        shared = [_shared(token, segment) for segment in into]
        most = max(shared, default=0)
        yield shared.index(most) if most > 0 else None


def _shared(token: Span | None, segment: Span) -> int:
    if token is None or token.part != segment.part:
        return 0
    return min(token.end, segment.end) - max(token.start, segment.start)
