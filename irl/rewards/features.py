"""Features of responses that a reward head reads: counts of words."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from irl.errors import InputError
from irl.policies.template import PromptText
from irl.rewards.terms import count_terms


def asked(texts: Sequence[str], prompts: Sequence[PromptText] | None) -> Sequence[PromptText]:
    """The prompts of texts, for what reads both.

    Raises:
        InputError: there are none, or not one for each text.
    """
    if prompts is None:
        raise InputError(
            "This reward reads an answer after its prompt; give the prompt of every text beside "
            'the text ("" where there is none).'
        )
    if len(prompts) != len(texts):
        raise InputError(f"{len(texts)} texts and {len(prompts)} prompts do not go together.")
    return prompts


@dataclass(frozen=True)
class WordCounts:
    """How often each word stands in a text; other words do not count, and the prompt never does."""

    terms: tuple[str, ...]
    reads_chats: ClassVar[bool] = False

    def __call__(
        self, texts: Sequence[str], _prompts: Sequence[PromptText] | None = None
    ) -> Float[Tensor, "text feature"]:
        """Counts of all words in all texts."""
        counts = torch.from_numpy(count_terms(texts, self.terms).toarray())
        return counts.to(torch.float32)

    def __str__(self) -> str:
        return f"counts of {len(self.terms)} words"

    def save(self, _folder: Path, _name: str) -> dict[str, Any]:
        """All there is to store stands in the document."""
        return {"features": "words", "terms": list(self.terms)}

    @classmethod
    def load(cls, _folder: Path, _name: str, document: dict[str, Any]) -> "WordCounts":
        """What `save` stored."""
        return cls(tuple(document["terms"]))
