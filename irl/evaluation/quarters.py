"""Texts in quarters by their length, named by what lies in each."""

from collections.abc import Sequence
from typing import Final

import numpy as np

QUARTERS: Final = 4


def quarters(lengths: Sequence[int]) -> tuple[list[str], list[int]]:
    """Shortest first; as many lie in each as ties allow.

    Args:
        lengths: of the texts, in words.

    Returns:
        The names of the quarters, and which of them each text lies in.
    """
    if not lengths:
        return [], []
    shares = np.arange(1, QUARTERS) / QUARTERS
    inner = np.unique(np.quantile(lengths, shares, method="higher"))
    place = np.searchsorted(inner, lengths, side="left")
    group = np.unique(place, return_inverse=True)[1].tolist()
    there: list[list[int]] = [[] for _ in range(max(group) + 1)]
    for length, at in zip(lengths, group, strict=True):
        there[at].append(length)
    return [_span(min(here), max(here)) for here in there], group


def _span(low: int, high: int) -> str:
    span = f"{low} to {high}" if low < high else f"{low}"
    return f"{span} word{'s' if high != 1 else ''}"
