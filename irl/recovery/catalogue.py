"""Candidate features of answers: the number of words, words, phrases, words under a condition.

One column each, counted per response. A word under a condition counts only in answers to prompts
that meet the condition; where a word hardly occurs elsewhere, its price elsewhere is not
identified, so it is offered under the condition alone.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags, hstack

from irl.config import Fitting
from irl.errors import InputError
from irl.records import PromptCondition
from irl.recovery.least_squares import Design
from irl.rewards.features import WordCounts
from irl.rewards.terms import MAX_TERM_WORDS, TermReward, count_terms, ngrams
from irl.rewards.words import words

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]
MIN_FREE_SHARE = 0.1
"A feature must vary this much beyond those that it is set against"
ROWS_PER_CANDIDATE = 8
"Least squares with more columns would fit its own noise"


@dataclass(frozen=True)
class Conditioned:
    """A condition on the prompt, and the responses whose prompt meets it."""

    condition: PromptCondition
    mask: Mask
    "[response]"


@dataclass(frozen=True)
class Catalogue:
    """All candidate features: column 0 counts words, column c counts terms[c - 1]."""

    terms: tuple[str, ...]
    conditions: tuple[PromptCondition | None, ...]
    "one per term"
    design: Design
    n_words: int
    "terms that are single words without a condition; they come first"

    @classmethod
    def of(
        cls,
        texts: Sequence[str],
        prompt: Codes,
        fitting: Fitting,
        conditioned: Conditioned | None = None,
    ) -> "Catalogue":
        """The candidates that occur in enough responses."""
        single = candidates(texts, 1, fitting)
        phrases = candidates(texts, MAX_TERM_WORDS, fitting)
        terms = (*single, *phrases)
        lengths = csr_matrix(np.array([[float(len(words(text)))] for text in texts]))
        counts = count_terms(texts, terms).astype(np.float64)
        features = csr_matrix(hstack([lengths, counts], format="csr"))
        plain = cls(terms, (None,) * len(terms), Design(features, prompt), len(single))
        return plain if conditioned is None else plain.under(conditioned, fitting)

    def rows(self, chosen: Mask) -> "Catalogue":
        """The same candidates in some of the responses."""
        return replace(self, design=self.design.rows(chosen))

    def under(self, conditioned: Conditioned, fitting: Fitting) -> "Catalogue":
        """With the words that occur often enough under a condition offered under it as well."""
        single = self.design.features[:, 1 : 1 + self.n_words]
        inside = _responses_with(single[conditioned.mask])
        outside = _responses_with(single[~conditioned.mask])
        often = inside >= fitting.min_responses
        alone = outside < np.maximum(fitting.min_responses, MIN_FREE_SHARE * (inside + outside))
        bound = np.flatnonzero(often)
        free = np.flatnonzero(~(often & alone))
        kept = [*free, *range(self.n_words, len(self.terms))]
        restricted = diags(conditioned.mask.astype(np.float64)) @ single[:, bound]
        plain = self.design.features[:, [0, *(1 + at for at in kept)]]
        return Catalogue(
            (*(self.terms[at] for at in kept), *(self.terms[at] for at in bound)),
            (*(self.conditions[at] for at in kept), *(conditioned.condition for _ in bound)),
            Design(csr_matrix(hstack([plain, restricted], format="csr")), self.design.group),
            len(free),
        )

    def reward(self, columns: Codes, weights: Array) -> tuple[TermReward, list[int]]:
        """The reward of these columns, and where its weights (per word last) stand among them."""
        places = {int(column): at for at, column in enumerate(columns)}
        chosen = [column for column in places if column > 0]
        order = [places[column] for column in chosen]
        conditions = tuple(self.conditions[column - 1] for column in chosen)
        reward = TermReward(
            tuple(self.terms[column - 1] for column in chosen),
            tuple(float(weights[at]) for at in order),
            per_word=float(weights[places[0]]) if 0 in places else 0.0,
            conditions=conditions if any(conditions) else (),
        )
        return reward, [*order, places.get(0, len(places))]


def candidates(texts: Sequence[str], max_words: int, fitting: Fitting) -> list[str]:
    """Words (max_words 1), or phrases of 2 to max_words words, that occur in enough responses."""
    responses: Counter[str] = Counter()
    for text in texts:
        responses.update(set(ngrams(text, max_words)))
    frequent = [
        (term, n)
        for term, n in responses.items()
        if n >= fitting.min_responses and (max_words == 1 or " " in term)
    ]
    frequent.sort(key=lambda item: (-item[1], item[0]))
    most = min(fitting.max_candidates, len(texts) // ROWS_PER_CANDIDATE)
    return [term for term, _ in frequent[:most]]


def frequent_words(texts: Sequence[str], fitting: Fitting) -> WordCounts:
    """Counts of the words that occur in enough responses.

    Raises:
        InputError: there is none.
    """
    found = WordCounts(tuple(candidates(texts, 1, fitting)))
    if not found.terms:
        raise InputError(
            f"No word stands in {fitting.min_responses} of the {len(texts)} samples; give more "
            "samples, or lower --set fitting.min_responses."
        )
    return found


def _responses_with(counts: csr_matrix) -> Array:
    """In how many responses each column is not 0."""
    return np.asarray((counts != 0).sum(0), dtype=np.float64).ravel()
