"""Nearest answers in embeddings, in units of the spread of those that are searched."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from irl.errors import InputError

Array = NDArray[np.float64]
Embedded = Float[Tensor, "answer feature"]
_CHUNK = 1024
"Rows of distances at a time"


@dataclass(frozen=True)
class Near:
    """The k nearest of each answer, nearest first."""

    at: NDArray[np.int64]
    "which of those that were searched, [answer, k]"
    distances: Array
    "[answer, k]"

    @property
    def mean(self) -> Array:
        """Mean distance to the k nearest: large where no answer like it is known."""
        result: Array = self.distances.mean(1)
        return result


@dataclass(frozen=True)
class Known:
    """Answers to look for neighbours among; Euclidean, each direction in its own spread."""

    features: Embedded
    "standardised"
    centre: Float[Tensor, " feature"]
    scale: Float[Tensor, " feature"]

    @classmethod
    def of(cls, embedded: Embedded) -> "Known":
        """In units of their own spread; a direction that never varies stays as it is.

        Raises:
            InputError: some are not finite.
        """
        if not embedded.isfinite().all():
            raise InputError(
                "Some embeddings of known answers are NaN or infinite; load the reference in "
                "another dtype."
            )
        centre, spread = embedded.mean(0), embedded.std(0, correction=0)
        scale = torch.where(spread > 0, spread, 1.0)
        return cls((embedded - centre) / scale, centre, scale)

    def standardised(self, embedded: Embedded) -> Embedded:
        """Other answers in the units of these."""
        return (embedded - self.centre) / self.scale

    def nearest(
        self, embedded: Embedded, k: int, *, among: NDArray[np.int64] | None = None
    ) -> Near:
        """The k nearest known answers of others.

        Args:
            embedded: as the encoder gives them.
            k: how many; all where there are fewer.
            among: which of the known to search; None searches all.

        Raises:
            InputError: there is none to search.
        """
        there = self.features if among is None else self.features[torch.from_numpy(among)]
        if not len(there):
            raise InputError("There are no known answers to look for neighbours among.")
        found = [
            torch.cdist(part, there).topk(min(k, len(there)), largest=False)
            for part in self.standardised(embedded).split(_CHUNK)
        ]
        at = torch.cat([one.indices for one in found]).numpy()
        distances = torch.cat([one.values for one in found]).double().numpy()
        return Near(at if among is None else among[at], distances)
