"""Words of a text, the same everywhere: in fitting, in rewards and in prompts.

Words are lower-cased; an apostrophe or asterisks inside a word belong to it ("don't", "f*ck"). The
split needs spaces or punctuation between words: scripts written without them give whole runs of
letters.
"""

import re
from dataclasses import dataclass

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


def _folded(text: str) -> str:
    """Lower-cased, letter for letter."""
    return text.lower() if text.isascii() else "".join(_fold(letter) for letter in text)


def _fold(letter: str) -> str:
    lowered = "'" if letter == "’" else letter.lower()
    return lowered if len(lowered) == 1 else letter
