"""Aspects: declared features of a response, each a function from exchanges to one number apiece.

A new kind is a function that returns such a function. Words are those of irl/rewards/words.py, and
are split once per exchange, whatever the number of aspects.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from explain.exchange import Exchange
from irl.errors import InputError
from irl.rewards.words import words

Array = NDArray[np.float64]
Measure = Callable[[Sequence[Exchange]], Array]
Part = Literal["words", "sentences", "characters"]

_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?:\s|$)|[。！？]+|\n\s*\n")
_WORD_CHARACTER = re.compile(r"\w")
_UNWILLING: Final = (
    *("i can't", "i cannot", "i can not", "i won't", "i will not", "i'm unable to"),
    *("i am unable to", "i'm not able to", "i am not able to", "i'm not going to"),
)
_DEEDS: Final = (
    *("help", "assist", "provide", "answer", "discuss", "comply", "continue", "create", "write"),
    *("share", "give", "support", "engage", "fulfill", "fulfil", "do that", "do this", "say that"),
)
REFUSALS: Final = (
    *(" ".join(pair) for pair in product(_UNWILLING, _DEEDS)),
    *("as an ai", "as a language model", "i must decline", "i have to decline", "i'd rather not"),
    *("i would rather not", "i'm sorry but", "i am sorry but", "i apologize but"),
    *("i apologise but", "against my guidelines", "i'm not comfortable", "i am not comfortable"),
)
"Phrases by which an answer refuses; a list, so it misses what is put otherwise"


@dataclass(frozen=True)
class DeclaredAspect:
    """A named feature of a response."""

    name: str
    unit: str
    "what one of it is"
    measure: Measure


def measured(aspects: Sequence[DeclaredAspect], exchanges: Sequence[Exchange]) -> Array:
    """The values of all aspects, [exchange, aspect].

    Raises:
        InputError: an aspect gave something else than one finite number for each exchange.
    """
    values = np.zeros((len(exchanges), len(aspects)))
    for at, aspect in enumerate(aspects):
        column = aspect.measure(exchanges)
        if column.shape != (len(exchanges),) or not np.isfinite(column).all():
            raise InputError(
                f"The aspect {aspect.name} gave {_described(column)} for {len(exchanges)} "
                "exchanges; one finite number for each is expected."
            )
        values[:, at] = column
    return values


def matches(pattern: re.Pattern[str], *, at_most_once: bool = False) -> Measure:
    """How often a pattern matches the response; or, at most once, whether it does.

    A match of no characters does not count.
    """

    def found(one: Exchange) -> Iterator[bool]:
        return (True for match in pattern.finditer(one.response) if match.group())

    return _each(lambda one: any(found(one)) if at_most_once else sum(found(one)))


def lexicon(terms: Sequence[str], *, at_most_once: bool = False) -> Measure:
    """How often words and phrases of a list occur; the longest counts where they overlap."""
    most = 1 if at_most_once else None
    phrases = _Phrases.of(terms)
    return _each(lambda one: phrases.count(one.words, most))


def length(of: Part) -> Measure:
    """Words, sentences (stretches with a word up to . ! ? or an empty line) or characters."""
    match of:
        case "words":
            return _each(lambda one: len(one.words))
        case "sentences":
            return _each(_sentences)
        case "characters":
            return _each(lambda one: len(one.response))


def refusal(phrases: Sequence[str] = REFUSALS, within_words: int = 30) -> Measure:
    """1 where one of the phrases stands among the first words of a response, else 0."""
    listed = _Phrases.of(phrases)
    return _each(lambda one: listed.count(one.words[:within_words], most=1))


def sentiment(coefficients: Mapping[str, float]) -> Measure:
    """Summed weights of words: the log-odds of praise against blame, up to a constant."""
    return _each(lambda one: sum(coefficients.get(word, 0.0) for word in one.words))


def repetition(run: int) -> Measure:
    """How many runs of so many words the response has said before."""

    def repeated(one: Exchange) -> int:
        found = [tuple(one.words[at : at + run]) for at in range(len(one.words) - run + 1)]
        return len(found) - len(set(found))

    return _each(repeated)


def foreign(name: str, function: Callable[[Sequence[Exchange]], object]) -> Measure:
    """A function of the user's own; what it raises is told as a sentence."""

    def measure(exchanges: Sequence[Exchange]) -> Array:
        try:
            return np.asarray(function(exchanges), dtype=np.float64)
        except Exception as error:
            raise InputError(
                f"The aspect {name} could not be measured ({type(error).__name__}: {error}); its "
                "function takes a list of exchanges (prompt, response) and returns one number for "
                "each."
            ) from error

    return measure


def _each(value: Callable[[Exchange], float]) -> Measure:
    def measure(exchanges: Sequence[Exchange]) -> Array:
        return np.array([value(one) for one in exchanges], dtype=np.float64)

    return measure


def _sentences(one: Exchange) -> int:
    parts = _SENTENCE_END.split(one.response)
    return sum(_WORD_CHARACTER.search(part) is not None for part in parts)


def _described(column: Array) -> str:
    if column.ndim == 1 and not np.isfinite(column).all():
        return f"{len(column)} numbers, of which {(~np.isfinite(column)).sum()} are not finite,"
    return f"an array of shape {column.shape}"


@dataclass(frozen=True)
class _Phrases:
    """A list of words and phrases, by first word, longest first."""

    by_first: dict[str, list[tuple[str, ...]]]

    @classmethod
    def of(cls, terms: Sequence[str]) -> "_Phrases":
        by_first: dict[str, list[tuple[str, ...]]] = {}
        for phrase in sorted({tuple(words(term)) for term in terms} - {()}, key=len, reverse=True):
            by_first.setdefault(phrase[0], []).append(phrase)
        return cls(by_first)

    def count(self, said: Sequence[str], most: int | None = None) -> int:
        """Occurrences that do not overlap, from left to right; stops at `most`."""
        n = 0
        for _ in self._found(said):
            n += 1
            if n == most:
                break
        return n

    def _found(self, said: Sequence[str]) -> Iterator[tuple[str, ...]]:
        free = 0
        for at, word in enumerate(said):
            if word not in self.by_first or at < free:
                continue
            for phrase in self.by_first[word]:
                if len(phrase) == 1 or tuple(said[at : at + len(phrase)]) == phrase:
                    free = at + len(phrase)
                    yield phrase
                    break
