"""Features of responses that a reward head reads: counts of words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from irl.rewards.terms import count_terms


@dataclass(frozen=True)
class WordCounts:
    """How often each word stands in a text; other words do not count."""

    terms: tuple[str, ...]

    def __call__(self, texts: Sequence[str]) -> Float[Tensor, "text feature"]:
        """Counts of all words in all texts."""
        counts = torch.from_numpy(count_terms(texts, self.terms).toarray())
        return counts.to(torch.float32)

    @property
    def document(self) -> dict[str, Any]:
        """What is stored beside a head."""
        return {"features": "words", "terms": list(self.terms)}
