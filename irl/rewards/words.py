"""Words of a text, the same everywhere: in fitting, in rewards and in prompts.

Words are lower-cased; an apostrophe or asterisks inside a word belong to it ("don't", "f*ck"). The
split needs spaces or punctuation between words: scripts written without them give whole runs of
letters.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

_WORD = re.compile(r"\w+(?:['*]+\w+)*")


@dataclass(frozen=True)
class Word:
    """A lower-cased word and where it stands in its text."""

    text: str
    start: int
    end: int


def located_words(text: str) -> list[Word]:
    """The words of a text, in order. Positions count characters of the text as given."""
    return [Word(m.group(), m.start(), m.end()) for m in _WORD.finditer(_folded(text))]


def words(text: str) -> list[str]:
    """The lower-cased words of a text, in order."""
    return _WORD.findall(_folded(text))


def term_tokens(
    pieces: Sequence[str], terms: Collection[str], *, every_word: bool = False
) -> Iterator[tuple[str, list[int]]]:
    """Every occurrence of a term in a tokenised text, with the tokens that overlap it.

    Args:
        pieces: the text of each token; "" for tokens that are no text, such as EOS.
        terms: which terms to look for.
        every_word: give every single word too, whether it is a term or not.
    """
    starts = list(accumulate((len(piece) for piece in pieces), initial=0))
    found = located_words("".join(pieces))
    longest = max((len(term.split()) for term in terms), default=int(every_word))
    for first, word in enumerate(found):
        for last in range(first, min(first + longest, len(found))):
            term = " ".join(part.text for part in found[first : last + 1])
            if term in terms or (every_word and last == first):
                begin = bisect_right(starts, word.start) - 1
                end = bisect_left(starts, found[last].end)
                yield term, [at for at in range(begin, end) if pieces[at]]


def _folded(text: str) -> str:
    """Lower-cased, letter for letter."""
    return text.lower() if text.isascii() else "".join(_fold(letter) for letter in text)


def _fold(letter: str) -> str:
    lowered = "'" if letter == "’" else letter.lower()
    return lowered if len(lowered) == 1 else letter
