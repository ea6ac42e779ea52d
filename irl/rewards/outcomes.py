"""An outcome head: the probability that a prompt succeeds on a query (Prompt-OIRL, 2309.06553).

It reads both texts, each in the units of the log that it was fitted to, and their products:

    x = (1, q, p, q (x) p)        at most RANKS principal directions of queries and of prompts

Without products a linear head would be a(q) + b(p), which ranks the prompts alike for every query:
the best single prompt. It is fitted to outcomes, absolute labels, so no constant of a prompt is
free, and its probabilities compare across prompts.
"""

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from irl.errors import InputError
from irl.rewards.boosted import Boosted
from irl.rewards.heads import Head, Scores

RANKS: Final = (64, 8)
"Directions of queries and of prompts: few prompts span few, and each multiplies all of queries"
PRODUCTS: Final = (0.0, 0.3, 1.0)
"""Scales of products that are tried: where the best prompt is the same for all queries, many
products drown what little there is to learn."""
_NOTHING = 1e-4
"Share of the largest direction below which one is rounding"
QueryRows = Float[Tensor, "query word"]
PromptRows = Float[Tensor, "prompt manner"]


@dataclass(frozen=True)
class Units:
    """Principal directions of one kind of text, of variance 1 over the texts that gave them."""

    centre: Float[Tensor, " feature"]
    scale: Float[Tensor, " feature"]
    directions: Float[Tensor, "feature direction"]

    @classmethod
    def of(cls, raw: Float[Tensor, "text feature"], rank: int) -> "Units":
        """Of distinct texts.

        Raises:
            InputError: some features are not finite.
        """
        if not raw.isfinite().all():
            raise InputError("Some embeddings are not finite; load the base in another dtype.")
        centre, spread = raw.mean(0), raw.std(0, correction=0)
        scale = torch.where(spread > 0, spread, 1.0)
        _, sizes, rows = torch.linalg.svd((raw - centre) / scale, full_matrices=False)
        kept = int((sizes > _NOTHING * sizes.max()).sum()) if float(sizes.max()) > 0 else 0
        kept = min(rank, kept)
        return cls(centre, scale, rows[:kept].T / (sizes[:kept] / len(raw) ** 0.5))

    def __call__(self, raw: Float[Tensor, "text feature"]) -> Float[Tensor, "text direction"]:
        """Where texts lie along the directions."""
        return ((raw - self.centre) / self.scale) @ self.directions


@dataclass(frozen=True)
class Crossed:
    """(1, q, p, products) of queries under prompts."""

    queries: Units
    prompts: Units

    @classmethod
    def of(cls, queries: QueryRows, prompts: PromptRows) -> "Crossed":
        """In the units of distinct queries and prompts.

        Raises:
            InputError: some features are not finite.
        """
        return cls(Units.of(queries, RANKS[0]), Units.of(prompts, RANKS[1]))

    @property
    def scales(self) -> list[Float[Tensor, " feature"]]:
        """What products may cost: none at all, dear ones, and as cheap as what they are made of."""
        q, p = (units.directions.shape[1] for units in (self.queries, self.prompts))
        of_products = torch.arange(1 + q + p + q * p) > q + p
        return [torch.where(of_products, scale, 1.0) for scale in PRODUCTS]

    def __call__(
        self, queries: Float[Tensor, "trial word"], prompts: Float[Tensor, "trial manner"]
    ) -> Float[Tensor, "trial feature"]:
        """Of each query under its prompt."""
        q, p = self.queries(queries), self.prompts(prompts)
        products = (q[:, :, None] * p[:, None, :]).flatten(1)
        return torch.cat([torch.ones(len(q), 1), q, p, products], 1)


@dataclass(frozen=True)
class OutcomeHead:
    """Members that read features of queries and of prompts."""

    features: Crossed
    head: Head | Boosted

    @torch.inference_mode()
    def table(
        self, queries: QueryRows, prompts: PromptRows
    ) -> Float[Tensor, "member query prompt"]:
        """The probability of success of every query under every prompt, by every member."""
        n, m = len(queries), len(prompts)
        scores: Scores = self.head(
            self.features(queries.repeat_interleave(m, 0), prompts.repeat(n, 1))
        )
        found: Tensor = torch.sigmoid(scores).unflatten(1, (n, m))
        return found
