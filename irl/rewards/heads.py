"""Reward heads on features of responses, many members at once.

A head maps features [row, feature] to scores [member, row]; its parameters have the member first,
and no member sees another one. One reward is an ensemble of one.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

Scores = Float[Tensor, "member row"]
Features = Float[Tensor, "row feature"]


class Head(nn.Module, ABC):
    """Rewards of several members. A constant of the reward is not identified."""

    @abstractmethod
    def forward(self, features: Features) -> Scores:
        """Scores of every member."""

    @abstractmethod
    def holding(self, parameters: Sequence[Tensor]) -> "Head":
        """The same head with other members, given in the order of `parameters()`."""

    @abstractmethod
    def squared_weights(self) -> Float[Tensor, " member"]:
        """What a penalty holds down: the squared distance of each member from knowing nothing."""

    @abstractmethod
    def save(self, folder: Path, name: str) -> dict[str, Any]:
        """Store all members, and return what is needed to build the head again."""

    @property
    def members(self) -> int:
        """How many."""
        return len(next(self.parameters()))

    @classmethod
    def joined(cls, heads: Sequence["Head"]) -> "Head":
        """One head with the members of several of the same kind."""
        layers = zip(*(head.parameters() for head in heads), strict=True)
        return heads[0].holding([torch.cat(layer).detach() for layer in layers])

    def members_at(self, at: Int[Tensor, " some"]) -> "Head":
        """A head of its own with copies of some of the members, in that order."""
        return self.holding([layer.detach()[at] for layer in self.parameters()])


class Layers(Head):
    """Layers with ReLU between them; the last has no bias."""

    def __init__(self, members: int, sizes: tuple[int, ...], generator: torch.Generator) -> None:
        """Draw the weights.

        Args:
            members: how many.
            sizes: features in, hidden units, 1.
            generator: of the initial weights; the last layer starts at 0, so that every member
                starts from the same reward (none) and differs by its inner layers.
        """
        super().__init__()
        self.sizes = sizes
        shapes = list(pairwise(sizes))
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        for number, (fan_in, fan_out) in enumerate(shapes):
            last = number == len(shapes) - 1
            spread = 0.0 if last else (2 / fan_in) ** 0.5
            drawn = torch.randn(members, fan_in, fan_out, generator=generator)
            self.weights.append(nn.Parameter(drawn * spread))
            if not last:
                self.biases.append(nn.Parameter(torch.zeros(members, 1, fan_out)))

    @classmethod
    def load(cls, folder: Path, name: str, document: dict[str, Any]) -> "Layers":
        """What `save` stored, to the last bit."""
        tensors = load_file(folder / f"{name}.safetensors")
        members = len(tensors["weights.0"])
        head = cls(members, tuple(document["sizes"]), torch.Generator())
        head.load_state_dict(tensors)
        return head

    def save(self, folder: Path, name: str) -> dict[str, Any]:
        """Write name.safetensors."""
        tensors = {key: value.contiguous() for key, value in self.state_dict().items()}
        save_file(tensors, folder / f"{name}.safetensors")
        return {"head": "layers", "sizes": self.sizes}

    def holding(self, parameters: Sequence[Tensor]) -> "Layers":
        """The same sizes with other members."""
        head = Layers(0, self.sizes, torch.Generator())
        n = len(self.weights)
        head.weights = nn.ParameterList(parameters[:n])
        head.biases = nn.ParameterList(parameters[n:])
        return head

    def squared_weights(self) -> Float[Tensor, " member"]:
        """Sum of the squared weights of each member, biases left out."""
        squares = [weight.square().sum((1, 2)) for weight in self.weights]
        return torch.stack(squares).sum(0)

    def forward(self, features: Features) -> Scores:
        """Scores of every member."""
        first, *others = self.weights
        hidden = torch.bmm(features.expand(self.members, -1, -1), first)
        for weight, bias in zip(others, self.biases, strict=True):
            hidden = torch.relu(hidden + bias) @ weight
        scores: Tensor = hidden.squeeze(-1)
        return scores


Form = Callable[[int, int, torch.Generator], Head]
"(members, features, generator) to a head"


def linear(members: int, features: int, generator: torch.Generator) -> Layers:
    """One weight for each feature."""
    return Layers(members, (features, 1), generator)


def mlp(*widths: int) -> "Callable[[int, int, torch.Generator], Layers]":
    """Hidden layers of these widths; one of 128 if none is named."""
    hidden = widths or (128,)

    def form(members: int, features: int, generator: torch.Generator) -> Layers:
        return Layers(members, (features, *hidden, 1), generator)

    return form
