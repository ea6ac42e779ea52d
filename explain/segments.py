"""An exchange in segments, which are pieces of its texts."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from explain.cuts import Cut
from explain.targets import Exchange
from irl.policies.spans import Span


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
