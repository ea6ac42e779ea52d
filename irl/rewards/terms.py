"""A reward that counts terms: r(y) = intercept + sum_t weight_t * count_t(y).

A term is a word (irl/rewards/words.py), or a phrase of up to three words joined by single spaces. A
term may be conditional: it counts only in answers to prompts that meet its condition.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import CountVectorizer
from torch import Tensor

from irl.errors import InputError
from irl.records import PromptCondition
from irl.rewards.conditions import TypedPrompt, applies, meets
from irl.rewards.words import located_words as located_words
from irl.rewards.words import term_tokens as term_tokens
from irl.rewards.words import words as words

MAX_TERM_WORDS = 3


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


@dataclass(frozen=True)
class TermReward:
    """A linear reward on term counts, callable on texts.

        r(x, y) = intercept + per_word * words(y) + sum_t weight_t * count_t(y) * 1[x meets c_t]

    Identified up to a constant of each prompt: `intercept` carries no meaning across prompts.
    """

    terms: tuple[str, ...]
    weights: tuple[float, ...]
    "units of the reward per occurrence (nats where the reward is one over beta)"
    intercept: float = 0.0
    per_word: float = 0.0
    "the price of every word, whatever it is"
    conditions: tuple[PromptCondition | None, ...] = ()
    "empty: no term is conditional; else one per term, and a term may stand with and without one"

    def __post_init__(self) -> None:
        if len(self.terms) != len(self.weights):
            raise InputError(
                f"A term reward needs one weight per term; it was given {len(self.terms)} terms "
                f"and {len(self.weights)} weights."
            )
        if self.conditions and len(self.conditions) != len(self.terms):
            raise InputError(
                f"A term reward needs one condition (or null) per term; it was given "
                f"{len(self.terms)} terms and {len(self.conditions)} conditions."
            )

    @cached_property
    def by_term(self) -> dict[str, float]:
        """The weight of each term that is paid whatever the prompt is."""
        return self._weights(None)

    @cached_property
    def conditional(self) -> frozenset[PromptCondition]:
        """The conditions that its terms have."""
        return frozenset(condition for condition in self.conditions if condition is not None)

    def weights_for(self, prompt: TypedPrompt | None) -> dict[str, float]:
        """The weight of each term in answers to one prompt.

        Raises:
            InputError: a term is conditional and the prompt was not given.
        """
        if not self.conditional:
            return self.by_term
        if prompt is None:
            raise InputError(
                "This reward pays for some terms only in answers to certain prompts; give the "
                "prompt of every text beside the text."
            )
        return self._weights(prompt)

    def __call__(
        self, texts: Sequence[str], prompts: Sequence[TypedPrompt] | None = None
    ) -> Float[Tensor, " text"]:
        """The reward of each text.

        Args:
            texts: the responses.
            prompts: the prompt of each; needed only where a term is conditional.

        Raises:
            InputError: a term is conditional and no prompts were given.
        """
        scores = torch.from_numpy(self._scores(texts, prompts))
        lengths = torch.tensor([len(words(text)) for text in texts], dtype=torch.float64)
        return scores + self.per_word * lengths + self.intercept

    def features(self, texts: Sequence[str], prompts: Sequence[TypedPrompt]) -> NDArray[np.float64]:
        """What the reward is linear in, [text, term + 1]: counts of terms, the number of words."""
        distinct = list(dict.fromkeys(self.terms))
        counts = count_terms(texts, distinct).toarray().astype(np.float64)
        found = np.zeros((len(texts), len(self.terms) + 1))
        conditions = self.conditions or (None,) * len(self.terms)
        for at, (term, condition) in enumerate(zip(self.terms, conditions, strict=True)):
            where = [meets(condition, prompt) for prompt in prompts]
            found[:, at] = counts[:, distinct.index(term)] * where
        found[:, -1] = [len(words(text)) for text in texts]
        return found

    def paid_for(self, pieces: Sequence[str], prompt: TypedPrompt | None = None) -> list[float]:
        """The reward laid on the tokens that carry it: each term's weight, split evenly.

        A gauge choice: only the sum over the response is a matter of fact. The intercept, a
        constant of the prompt, is left out.

        Raises:
            InputError: a term is conditional and the prompt was not given.
        """
        weights = self.weights_for(prompt)
        paid = [0.0] * len(pieces)
        for term, tokens in term_tokens(pieces, weights, every_word=bool(self.per_word)):
            worth = weights.get(term, 0.0) + (0.0 if " " in term else self.per_word)
            for at in tokens:
                paid[at] += worth / len(tokens)
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
            "conditions": [c and c.model_dump(exclude_none=True) for c in self.conditions],
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
            tuple(c and PromptCondition(**c) for c in document.get("conditions", [])),
        )

    def _weights(self, prompt: TypedPrompt | None) -> dict[str, float]:
        weights: dict[str, float] = {}
        conditions = self.conditions or (None,) * len(self.terms)
        for term, weight, condition in zip(self.terms, self.weights, conditions, strict=True):
            if condition is None or (prompt and applies(condition, prompt.text, prompt.type)):
                weights[term] = weights.get(term, 0.0) + weight
        return weights

    def _scores(
        self, texts: Sequence[str], prompts: Sequence[TypedPrompt] | None
    ) -> NDArray[np.float64]:
        if not self.conditional:
            scores: NDArray[np.float64] = count_terms(texts, self.terms) @ np.array(self.weights)
            return scores
        given = [None] * len(texts) if prompts is None else prompts
        terms = tuple(dict.fromkeys(self.terms))
        weights = {prompt: self.weights_for(prompt) for prompt in set(given)}
        rows = [[weights[prompt].get(term, 0.0) for term in terms] for prompt in given]
        counts = count_terms(texts, terms).multiply(np.array(rows).reshape(-1, len(terms)))
        return np.asarray(counts.sum(1), dtype=np.float64).ravel()
