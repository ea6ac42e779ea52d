"""Reward heads on features of responses, many members at once.

A head maps features [row, feature] to scores [member, row]; its parameters have the member first,
and no member sees another one. One reward is an ensemble of one.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

Scores = Float[Tensor, "member row"]


class Head(nn.Module):
    """Layers of all members with ReLU between them; the last has no bias.

    A constant of the reward is not identified.
    """

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
    def joined(cls, heads: Sequence["Head"]) -> "Head":
        """One head with the members of several of the same sizes."""
        layers = zip(*(head.parameters() for head in heads), strict=True)
        return heads[0].holding([torch.cat(layer).detach() for layer in layers])

    def members_at(self, at: Int[Tensor, " some"]) -> "Head":
        """A head of its own with copies of some of the members, in that order."""
        return self.holding([layer.detach()[at] for layer in self.parameters()])

    def holding(self, parameters: Sequence[Tensor]) -> "Head":
        """A head of the same sizes with other members, given in the order of `parameters()`."""
        head = Head(0, self.sizes, torch.Generator())
        n = len(self.weights)
        head.weights = nn.ParameterList(parameters[:n])
        head.biases = nn.ParameterList(parameters[n:])
        return head

    def squared_weights(self) -> Float[Tensor, " member"]:
        """Sum of the squared weights of each member, biases left out."""
        squares = [weight.square().sum((1, 2)) for weight in self.weights]
        return torch.stack(squares).sum(0)

    @property
    def members(self) -> int:
        """How many."""
        return len(self.weights[0])

    def forward(self, features: Float[Tensor, "row feature"]) -> Scores:
        """Scores of every member."""
        first, *others = self.weights
        members, _, width = first.shape
        wide = features @ first.transpose(0, 1).flatten(1)  # one product for all members
        hidden = wide.view(len(features), members, width).transpose(0, 1)
        for weight, bias in zip(others, self.biases, strict=True):
            hidden = torch.relu(hidden + bias) @ weight
        scores: Tensor = hidden.squeeze(-1)
        return scores


Form = Callable[[int, int, torch.Generator], Head]
"(members, features, generator) to a head"


def linear(members: int, features: int, generator: torch.Generator) -> Head:
    """One weight for each feature."""
    return Head(members, (features, 1), generator)


def mlp(width: int = 128, depth: int = 1) -> Form:
    """So many hidden layers of that width."""

    def form(members: int, features: int, generator: torch.Generator) -> Head:
        return Head(members, (features, *[width] * depth, 1), generator)

    return form
