"""A reward that counts terms: r(y) = intercept + sum_t weight_t * count_t(y).

A term is a word, or a phrase of up to three words joined by single spaces. Words are lower-cased;
an apostrophe or asterisks inside a word belong to it ("don't", "f*ck"). The split needs spaces or
punctuation between words: for scripts written without them a term is a whole run of letters.
"""

import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import CountVectorizer
from torch import Tensor

from irl.errors import InputError

MAX_TERM_WORDS = 3
_WORD = re.compile(r"\w+(?:['*]+\w+)*")


@dataclass(frozen=True)
class Word:
    """A lower-cased word and where it stands in its text."""

    text: str
    start: int
    end: int


def located_words(text: str) -> list[Word]:
    """The words of a text, in order. Positions count characters of the text as given."""
    folded = "".join(_fold(character) for character in text)
    return [Word(m.group(), m.start(), m.end()) for m in _WORD.finditer(folded)]


def words(text: str) -> list[str]:
    """The lower-cased words of a text, in order."""
    return [word.text for word in located_words(text)]


def ngrams(text: str, max_words: int = MAX_TERM_WORDS) -> Iterator[str]:
    """Every run of 1 to max_words consecutive words, as terms; repeats are kept."""
    tokens = words(text)
    for size in range(1, max_words + 1):
        for start in range(len(tokens) - size + 1):
            yield " ".join(tokens[start : start + size])


def count_terms(texts: Sequence[str], terms: Sequence[str]) -> csr_matrix:
    """Occurrences of each term in each text, a sparse [text, term] matrix."""
    if not terms:
        return csr_matrix((len(texts), 0))
    longest = max(len(term.split()) for term in terms)
    vectorizer = CountVectorizer(
        analyzer=lambda text: ngrams(text, longest), vocabulary={t: i for i, t in enumerate(terms)}
    )
    return csr_matrix(vectorizer.transform(texts))


def term_tokens(pieces: Sequence[str], terms: Collection[str]) -> Iterator[tuple[str, list[int]]]:
    """Every occurrence of a term in a tokenised text, with the tokens that overlap it.

    Args:
        pieces: the text of each token; "" for tokens that are no text, such as EOS.
        terms: which terms to look for.
    """
    starts = list(accumulate((len(piece) for piece in pieces), initial=0))
    found = located_words("".join(pieces))
    longest = max((len(term.split()) for term in terms), default=0)
    for first, word in enumerate(found):
        for last in range(first, min(first + longest, len(found))):
            term = " ".join(part.text for part in found[first : last + 1])
            if term in terms:
                begin = bisect_right(starts, word.start) - 1
                end = bisect_left(starts, found[last].end)
                yield term, [at for at in range(begin, end) if pieces[at]]


@dataclass(frozen=True)
class TermReward:
    """A linear reward on term counts, callable on texts.

    Identified up to a constant of each prompt: `intercept` carries no meaning across prompts.
    """

    terms: tuple[str, ...]
    weights: tuple[float, ...]
    "units of the reward per occurrence (nats where the reward is one over beta)"
    intercept: float = 0.0
    per_word: float = 0.0
    "the price of every word, whatever it is"

    def __post_init__(self) -> None:
        if len(self.terms) != len(self.weights):
            raise InputError(
                f"A term reward needs one weight per term; it was given {len(self.terms)} terms "
                f"and {len(self.weights)} weights."
            )

    @cached_property
    def by_term(self) -> dict[str, float]:
        """The weight of each term."""
        return dict(zip(self.terms, self.weights, strict=True))

    def __call__(self, texts: Sequence[str]) -> Float[Tensor, " text"]:
        """The reward of each text."""
        scores = torch.from_numpy(count_terms(texts, self.terms) @ np.array(self.weights))
        lengths = torch.tensor([len(words(text)) for text in texts], dtype=torch.float64)
        return scores + self.per_word * lengths + self.intercept

    def paid_for(self, pieces: Sequence[str]) -> list[float]:
        """The reward laid on the tokens that carry it: each term's weight, split evenly.

        A gauge choice: only the sum over the response is a matter of fact. The intercept, a
        constant of the prompt, is left out.
        """
        paid = [0.0] * len(pieces)
        for term, tokens in term_tokens(pieces, self.by_term):
            for at in tokens:
                paid[at] += self.by_term[term] / len(tokens)
        if self.per_word:
            everything = {word.text for word in located_words("".join(pieces))}
            for _, tokens in term_tokens(pieces, everything):
                for at in tokens:
                    paid[at] += self.per_word / len(tokens)
        return paid

    def save(self, folder: Path, name: str, **about: object) -> None:
        """Write name.json (terms, intercept, whatever `about` says) and name.safetensors."""
        folder.mkdir(parents=True, exist_ok=True)
        weights = torch.tensor(self.weights, dtype=torch.float64)
        save_file({"weights": weights}, folder / f"{name}.safetensors")
        document = {
            "kind": "terms",
            "intercept": self.intercept,
            "per_word": self.per_word,
            **about,
            "terms": self.terms,
        }
        text = json.dumps(document, ensure_ascii=False, indent=1)
        (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, name: str) -> "TermReward":
        """Read what `save` wrote."""
        document = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        weights = load_file(folder / f"{name}.safetensors")["weights"]
        return cls(
            tuple(document["terms"]),
            tuple(weights.tolist()),
            document["intercept"],
            document["per_word"],
        )


def _fold(character: str) -> str:
    lowered = "'" if character == "’" else character.lower()
    return lowered if len(lowered) == 1 else character
