"""Attribution by taking segments out of the text, for any target.

- ablation: v_i = f(x) - f(x without i). One segment at a time, so what two segments do together is
  counted twice or not at all; its gap is no error but this.
- KernelSHAP (Lundberg and Lee 2017, 1705.07874): the Shapley values of the game f(subset), fitted
  by weighted least squares to random subsets. Adds up by construction; its error is that of the
  draws, and falls with their number.

A text without a segment may be one that nobody writes. Where the target is a log-ratio, that part
of its value is no evidence about the reward.
"""

from collections.abc import Sequence

import torch
from captum.attr import FeatureAblation, KernelShap
from jaxtyping import Float
from torch import Tensor

from explain.attribution.record import Attribution
from explain.attribution.seeding import seeded
from explain.segments import without
from explain.targets import Exchange, Target
from irl.policies.spans import Span

AT_ONCE = 64
"Changed exchanges per call of the target"
DRAWS_PER_SEGMENT, LEAST_DRAWS, MOST_DRAWS = 32, 128, 1024


def ablation(target: Target, exchange: Exchange, segments: Sequence[Span]) -> Attribution:
    """What is lost when each segment is taken out alone.

    Args:
        target: what is explained.
        exchange: where.
        segments: what is taken out.
    """
    game = Game(target, exchange, segments)
    return game.attribution("ablation", _ablated(game))


def kernel_shap(
    target: Target,
    exchange: Exchange,
    segments: Sequence[Span],
    seed: int = 0,
    draws: int | None = None,
) -> Attribution:
    """Shapley values from random subsets of the segments.

    Args:
        target: what is explained.
        exchange: where.
        segments: the players.
        seed: of the draws.
        draws: subsets; None takes 32 for each segment, from 128 to 1024.
    """
    game = Game(target, exchange, segments)
    if len(segments) < 2:  # captum draws subsets of 1 to n - 1 players
        return game.attribution("kernel-shap", _ablated(game))
    n = draws or min(max(DRAWS_PER_SEGMENT * len(segments), LEAST_DRAWS), MOST_DRAWS)
    with seeded(seed):
        values: Tensor = KernelShap(game).attribute(
            game.everything, baselines=game.nothing, n_samples=n, perturbations_per_eval=AT_ONCE
        )
    return game.attribution("kernel-shap", values)


class Game:
    """The target as a function of which segments are there: rows of ones and noughts."""

    def __init__(self, target: Target, exchange: Exchange, segments: Sequence[Span]) -> None:
        self.target, self.exchange, self.segments = target, exchange, list(segments)
        self.everything = torch.ones(1, len(segments))
        self.nothing = torch.zeros(1, len(segments))
        self._known: dict[tuple[bool, ...], float] = {}

    def __call__(self, there: Float[Tensor, "row segment"]) -> Float[Tensor, " row"]:
        """The target of each row's exchange; the same exchange is asked for once."""
        rows = [tuple(row) for row in (there > 0.5).tolist()]
        new = [row for row in dict.fromkeys(rows) if row not in self._known]
        values = self.target([self.kept(row) for row in new]).tolist() if new else []
        self._known |= dict(zip(new, values, strict=True))
        return torch.tensor([self._known[row] for row in rows], dtype=torch.float64)

    def kept(self, there: Sequence[bool]) -> Exchange:
        """The exchange with these segments alone."""
        pairs = zip(self.segments, there, strict=True)
        return without(self.exchange, [segment for segment, is_there in pairs if not is_there])

    def attribution(self, method: str, values: Float[Tensor, "1 segment"]) -> Attribution:
        """The record of what was found."""
        (target,), (baseline,) = self(self.everything).tolist(), self(self.nothing).tolist()
        found = values[0].double().numpy()
        return Attribution(method, self.segments, found, target, baseline, len(self._known))


def _ablated(game: Game) -> Float[Tensor, "1 segment"]:
    found: Tensor = FeatureAblation(game).attribute(
        game.everything, baselines=game.nothing, perturbations_per_eval=AT_ONCE
    )
    return found
