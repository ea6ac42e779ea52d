"""How far apart two rewards of whole responses are.

For responses as single actions EPIC (2006.13900) and STARC (2309.15257) both come to: centre within
the prompt, then compare directions,

    d = sqrt((1 - rho) / 2),   rho = E[r1 r2] / sqrt(E[r1^2] E[r2^2]) of the centred rewards

0 for rewards that differ by a positive scale and a constant of each prompt, 1 for opposite ones.
Centring K samples shrinks all second moments alike, by (K - 1) / K where every prompt has K, so rho
needs no correction then; with few samples of very different K it is a little off.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

Rewards = Float[Tensor, "*reward row"]
Weights = Float[Tensor, " row"] | None
"1 each if None"


def centred(rewards: Rewards, prompt: Int[Tensor, " row"], weights: Weights = None) -> Rewards:
    """Rewards less their (weighted) mean of the prompt."""
    each = torch.ones_like(prompt, dtype=rewards.dtype) if weights is None else weights
    n = int(prompt.max()) + 1
    totals = rewards.new_zeros(*rewards.shape[:-1], n).index_add(-1, prompt, rewards * each)
    sizes = rewards.new_zeros(n).index_add(-1, prompt, each)
    result: Tensor = rewards - (totals / sizes)[..., prompt]
    return result


def correlation(
    first: Rewards, second: Rewards, prompt: Int[Tensor, " row"], weights: Weights = None
) -> Tensor:
    """Pearson's rho of centred rewards; NaN where one is constant within prompts."""
    x, y = centred(first, prompt, weights), centred(second, prompt, weights)
    each = 1.0 if weights is None else weights
    spread = ((each * x * x).sum(-1) * (each * y * y).sum(-1)).sqrt()
    rho: Tensor = (each * x * y).sum(-1) / spread
    return rho


def centred_distance(
    first: Rewards, second: Rewards, prompt: Int[Tensor, " row"], weights: Weights = None
) -> Tensor:
    """The distance d, between 0 and 1."""
    rho = correlation(first, second, prompt, weights).clamp(-1.0, 1.0)
    return ((1 - rho) / 2).sqrt()
