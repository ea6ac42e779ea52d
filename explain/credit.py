"""Credit: what each part of a response gained, and what it is paid.

Two readings of the same sum, neither of them "the reward of a token":

- value gained: the log-ratio of a token, beta log(pi*/pi_ref)(a|s) = r + V(s') - V(s) (2404.12358),
  where the policy decided. Over a segment it telescopes to V(end) - V(start), over the response to
  the whole log-ratio, to the last bit.
- paid for: a recovered reward given back to the words that carry it, in the gauge that puts all of
  it at the words themselves. With context (`irl.recovery.contexts`) a word is paid in its place, so
  that "no fool" is not charged as "fool" where the reward does not.

In a tree of prefixes every token reward with the same sums is equally right; these are two of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from explain.cuts import Cut
from irl.bootstrap import from_sums, ratio
from irl.records import Estimate
from irl.recovery.contexts import Prices
from irl.rewards.words import term_tokens

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SegmentCredit:
    """One segment of a response."""

    text: str
    "untrusted"
    tokens: range
    value_gained_nats: float
    paid_for_nats: float | None
    "None before a reward was recovered"


def segment_credit(
    pieces: Sequence[str],
    gained: Sequence[float],
    paid: Sequence[float] | None,
    cut: Cut,
) -> list[SegmentCredit]:
    """The tokens of a response summed over its segments; the sums add up to the whole.

    A token belongs to the segment in which it begins, its leading spaces apart (" Wait" opens what
    "Wait" opens); tokens that are no text belong to the one before.

    Args:
        pieces: the text of each token; "" for tokens that are no text.
        gained: the log-ratio of each token, nats.
        paid: what each token is paid, nats.
        cut: into segments.
    """
    text = "".join(pieces)
    ends_of_pieces = accumulate(len(piece) for piece in pieces)
    starts = [
        end - len(piece.lstrip(" ") or piece)
        for piece, end in zip(pieces, ends_of_pieces, strict=True)
    ]
    bounds = cut(text) or [(0, 0)]
    ends = np.array([end for _, end in bounds])
    owner = np.minimum(np.searchsorted(ends, np.array(starts), side="right"), len(bounds) - 1)
    for token, piece in enumerate(pieces):
        if not piece and token:
            owner[token] = owner[token - 1]
    found = []
    for number, (start, end) in enumerate(bounds):
        own = np.flatnonzero(owner == number)
        tokens = range(int(own[0]), int(own[-1]) + 1) if len(own) else range(0)
        found.append(
            SegmentCredit(
                text[start:end],
                tokens,
                float(np.sum(np.asarray(gained)[tokens], dtype=np.float64)),
                None if paid is None else float(np.sum(np.asarray(paid)[tokens], dtype=np.float64)),
            )
        )
    return found


@dataclass(frozen=True)
class MeanCredit:
    """What some segments gain and are paid on average, nats per segment."""

    segments: int
    value_gained_nats: Estimate | None
    paid_for_nats: Estimate | None


def mean_credit(
    segments: Sequence[Sequence[SegmentCredit]], prompt: NDArray[np.int64], seed: int = 0
) -> MeanCredit:
    """The mean over some segments of each response; clusters are the prompts that have one.

    Args:
        segments: of each response, those that are asked about.
        prompt: prompt number of each response.
        seed: of the bootstrap.
    """
    flat = [one for row in segments for one in row]
    clusters = np.unique(np.repeat(prompt, list(map(len, segments))), return_inverse=True)[1]

    def mean(nats: Sequence[float | None]) -> Estimate | None:
        if any(value is None for value in nats):
            return None
        columns = np.stack([np.array(nats, dtype=np.float64), np.ones(len(nats))], axis=1)
        return from_sums(columns, clusters, ratio, seed=seed)

    return MeanCredit(
        len(flat),
        mean([one.value_gained_nats for one in flat]),
        mean([one.paid_for_nats for one in flat]),
    )


def opens_with(text: str, delimiters: Sequence[str]) -> str:
    """The delimiter that a segment opens with, the longest that fits; empty if none."""
    found = [one for one in delimiters if text.startswith(one)]
    return max(found, key=len, default="")


def paid_in_context(prices: Prices, pieces: Sequence[str]) -> list[float]:
    """What each token is paid: every word's credit in its place, shared among its tokens.

    Args:
        prices: of words, with context.
        pieces: the text of each token; "" for tokens that are no text.
    """
    paid = [0.0] * len(pieces)
    credits = prices.credits("".join(pieces))
    for (_, value), (_, tokens) in zip(
        credits, term_tokens(pieces, (), every_word=True), strict=True
    ):
        for at in tokens:
            paid[at] += value / len(tokens)
    return paid
