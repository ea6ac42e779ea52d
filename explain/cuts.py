"""Where a text is cut: into words, sentences, lines, whole messages, or at delimiters.

A cut partitions a text: its pieces, put together, give the text back, so that what is attributed to
them adds up, and removing all of them leaves nothing.
"""

import re
from collections.abc import Callable, Sequence

from irl.errors import InputError

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
