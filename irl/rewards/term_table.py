"""A table of terms and their prices, as a run stores it: what can be said of it without torch."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
from safetensors.numpy import load_file, save_file

from irl.errors import InputError
from irl.records import PromptCondition
from irl.rewards.conditions import TypedPrompt, applies
from irl.rewards.words import term_tokens

Some = TypeVar("Some", bound="TermTable")


@dataclass(frozen=True)
class TermTable:
    """Prices of terms, of every word, and the conditions of those that are conditional.

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

    def payments(
        self, pieces: Sequence[str], prompt: TypedPrompt | None = None
    ) -> Iterator[tuple[str, float, list[int]]]:
        """Each occurrence of a term in a tokenised text: the term, its weight, its tokens.

        The price of a word is paid to every word, under the name "".

        Args:
            pieces: the text of each token; "" for tokens that are no text.
            prompt: of the answer; needed only where a term is conditional.

        Raises:
            InputError: a term is conditional and the prompt was not given.
        """
        weights = self.weights_for(prompt)
        for term, tokens in term_tokens(pieces, weights, every_word=bool(self.per_word)):
            if term in weights:
                yield term, weights[term], tokens
            if self.per_word and " " not in term:
                yield "", self.per_word, tokens

    def paid_for(self, pieces: Sequence[str], prompt: TypedPrompt | None = None) -> list[float]:
        """The reward laid on the tokens that carry it: each term's weight, split evenly.

        A gauge choice: only the sum over the response is a matter of fact. The intercept, a
        constant of the prompt, is left out.

        Raises:
            InputError: a term is conditional and the prompt was not given.
        """
        paid = [0.0] * len(pieces)
        for _, worth, tokens in self.payments(pieces, prompt):
            for at in tokens:
                paid[at] += worth / len(tokens)
        return paid

    def save(self, folder: Path, name: str, **about: object) -> None:
        """Write name.json (terms, intercept, whatever `about` says) and name.safetensors."""
        folder.mkdir(parents=True, exist_ok=True)
        weights = np.array(self.weights, dtype=np.float64)
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
    def load(cls: type[Some], folder: Path, name: str) -> Some:
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
