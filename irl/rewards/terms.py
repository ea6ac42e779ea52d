"""A reward that counts terms: r(y) = intercept + sum_t weight_t * count_t(y).

A term is a word (irl/rewards/words.py), or a phrase of up to three words joined by single spaces. A
term may be conditional: it counts only in answers to prompts that meet its condition.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import CountVectorizer
from torch import Tensor

from irl.rewards.conditions import TypedPrompt, meets
from irl.rewards.term_table import TermTable
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
class TermReward(TermTable):
    """A linear reward on term counts, callable on texts."""

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
