"""Pure edits of texts. Each gives a text without and with one thing, or None where it cannot.

Nothing here knows what a text is worth. Capital letters follow the place: what comes to stand at
the beginning of a sentence takes over its capital.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, assert_never

import numpy as np

from irl.rewards.words import located_words

Style = Literal["bullets", "bold", "exclaim"]
_BETWEEN = re.compile(r"(?<=[.!?])\s+")
WORD = "{word}"
"Where the word stands in the context that an edit of words may ask for"


@dataclass(frozen=True)
class Edited:
    """A text without and with one thing; one of them is the text as it was, mostly."""

    without: str
    with_it: str


def sentences(text: str) -> list[str]:
    """The sentences of a text, in order; joined by spaces they are the text."""
    return [part for part in _BETWEEN.split(text.strip()) if part]


def appended(text: str, sentence: str) -> Edited:
    """One more sentence."""
    return Edited(text, f"{text.rstrip()} {sentence}" if text.strip() else sentence)


def opened(text: str, words: str, *, last: bool = False) -> Edited:
    """Words before the first sentence, or before the last."""
    parts = sentences(text) or [""]
    at = len(parts) - 1 if last else 0
    parts[at] = before(parts[at], words)
    return Edited(text, " ".join(parts))


def before(sentence: str, words: str) -> str:
    """A sentence with words at its beginning; after a whole sentence its capital stays."""
    if words.endswith((".", "!", "?")) or not sentence:
        return f"{words} {sentence}".strip()
    if sentence[0].isupper():
        words = words[0].upper() + words[1:]
        first = located_words(sentence)[:1]
        if not first or first[0].text.split("'")[0] != "i":
            sentence = sentence[0].lower() + sentence[1:]
    return f"{words} {sentence}"


def removed(text: str, words: str) -> str | None:
    """A text without the first run of these words; None if it has none."""
    match = phrase([words]).search(text)
    return None if match is None else cut(text, *match.span())


def cut(text: str, start: int, end: int) -> str:
    """A text without a span, without the comma or space that held it, its capital handed on."""
    head, tail = text[:start], text[end:]
    if not head or head.rstrip().endswith((".", "!", "?")):
        tail = tail.lstrip(" ,")
        if text[start:end][:1].isupper():
            tail = tail[:1].upper() + tail[1:]
    elif not tail or tail[0] in " .,!?;:":
        head = head.rstrip(" ,") if tail[:1] in ",.!?" else head.rstrip(" ")
    else:
        tail = tail.lstrip(" ")
    return (head + tail).strip()


def reordered(text: str) -> Edited | None:
    """The last two of at least three sentences change places: the first mostly must lead."""
    parts = sentences(text)
    if len(parts) < 3 or parts[-1] == parts[-2]:
        return None
    return Edited(text, " ".join([*parts[:-2], parts[-1], parts[-2]]))


def formatted(text: str, style: Style) -> Edited | None:
    """The same words with markdown bullets, with a first sentence in bold, or more loudly."""
    parts = sentences(text)
    if not parts:
        return None
    match style:
        case "bullets":
            return Edited(text, "\n".join(f"- {part}" for part in parts))
        case "bold":
            return Edited(text, " ".join([f"**{parts[0]}**", *parts[1:]]))
        case "exclaim":
            calm, loud = f"{parts[-1][:-1]}.", f"{parts[-1][:-1]}!"
            if parts[-1] not in (calm, loud):
                return None
            return Edited(" ".join([*parts[:-1], calm]), " ".join([*parts[:-1], loud]))
        case _:
            assert_never(style)


def swapped(text: str, table: Mapping[str, str], *, every: bool = True) -> Edited | None:
    """Words of a table are replaced by their partners, all of them or only the first."""
    if not table:
        return None
    lower = {key.lower(): value for key, value in table.items()}
    pattern = phrase(list(table))
    made = pattern.sub(
        lambda match: _like(match.group(), lower[match.group().lower()]),
        text,
        count=0 if every else 1,
    )
    return None if made == text else Edited(text, made)


def reworded(
    text: str,
    words: Sequence[str],
    instead: Sequence[str],
    contexts: Sequence[str],
    rng: np.random.Generator,
) -> Edited | None:
    """A place that holds one of these words, or one of what may stand instead, with either.

    Args:
        text: the text.
        words: what the text is to have.
        instead: what may stand in the same place.
        contexts: phrases with {word} that the place must stand in.
        rng: chooses the place and the words that come in.
    """
    places = [
        match.span("word")
        for context in contexts
        for match in _in_context(context, [*words, *instead]).finditer(text)
    ]
    if not places:
        return None
    start, end = places[int(rng.integers(len(places)))]
    found, known = text[start:end], {word.lower() for word in words}
    other = instead if found.lower() in known else words
    made = text[:start] + _like(found, other[int(rng.integers(len(other)))]) + text[end:]
    return Edited(made, text) if other is instead else Edited(text, made)


def without_words(text: str, taken: Sequence[int]) -> str:
    """A text without some of its words, which are counted from 0."""
    found = located_words(text)
    for at in sorted(taken, reverse=True):
        text = cut(text, found[at].start, found[at].end)
    return text


def replaced_words(text: str, given: Mapping[int, str]) -> str:
    """A text with other words in the place of some of its own; empty ones only go."""
    found = located_words(text)
    for at in sorted(given, reverse=True):
        start, end = found[at].start, found[at].end
        if given[at]:
            text = text[:start] + _like(text[start:end], given[at]) + text[end:]
        else:
            text = cut(text, start, end)
    return text


def phrase(options: Sequence[str]) -> re.Pattern[str]:
    """Any of these words or phrases, as whole words; of two that begin alike, the longer."""
    longest = sorted(options, key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest))})(?!\w)", re.IGNORECASE)


def _in_context(context: str, options: Sequence[str]) -> re.Pattern[str]:
    head, _, tail = context.partition(WORD)
    inner = phrase(options).pattern
    return re.compile(rf"(?<!\w){re.escape(head)}(?P<word>{inner}){re.escape(tail)}", re.IGNORECASE)


def _like(model: str, word: str) -> str:
    """A word with the capital of the one whose place it takes."""
    return word[:1].upper() + word[1:] if model[:1].isupper() and word else word
