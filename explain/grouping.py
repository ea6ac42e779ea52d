"""A response by token, word, sentence or as a whole: tokens put together, their nats added up.

No token is cut in two: it goes to the piece that holds most of it. So what the pieces hold adds up
to what the tokens held, and the pieces put together are the response.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby, takewhile
from typing import Final, Literal, get_args

from explain.cuts import CUTS
from explain.tokens import Answer, Token

Granularity = Literal["token", "word", "sentence", "message"]
GRANULARITIES: Final[tuple[Granularity, ...]] = get_args(Granularity)


def grouped(answer: Answer, by: Granularity) -> Answer:
    """The answer with its tokens put together; special ones stay alone."""
    if by == "token":
        return answer
    said = "".join(token.text for token in answer.tokens if not token.special)
    lengths = [0 if token.special else len(token.text) for token in answer.tokens]
    owners = _owners(lengths, CUTS[by](said))
    paired = zip(answer.tokens, owners, strict=True)
    runs = groupby(enumerate(paired), key=lambda one: _together(one[0], *one[1]))
    return replace(answer, tokens=[_sum([token for _, (token, _) in run]) for _, run in runs])


def _together(at: int, token: Token, owner: int) -> tuple[bool, int]:
    """What neighbours that are put together share."""
    return (True, at) if token.special else (False, owner)


def _sum(tokens: Sequence[Token]) -> Token:
    paid = [token.paid_for_nats for token in tokens if token.paid_for_nats is not None]
    return Token(
        text="".join(token.text for token in tokens),
        special=tokens[0].special,
        aligned_nats=sum(token.aligned_nats for token in tokens),
        reference_nats=sum(token.reference_nats for token in tokens),
        log_ratio_nats=sum(token.log_ratio_nats for token in tokens),
        paid_for_nats=sum(paid) if len(paid) == len(tokens) else None,
        n_tokens=sum(token.n_tokens for token in tokens),
    )


def _owners(lengths: Sequence[int], bounds: Sequence[tuple[int, int]]) -> Iterator[int]:
    """For each token the piece that holds most of it; of equals, and of nothing, the first."""
    start = owner = 0
    for length in lengths:
        end = start + length
        owner = _most(bounds, owner, start, end)
        yield owner
        start = end


def _most(bounds: Sequence[tuple[int, int]], first: int, start: int, end: int) -> int:
    """Of the pieces from the first on, the one that holds most of a token."""
    reached = takewhile(lambda at: bounds[at][0] < end, range(first, len(bounds)))
    return max(
        reached,
        key=lambda at: min(bounds[at][1], end) - max(bounds[at][0], start),
        default=first,
    )
