"""Policies of the token world that were trained otherwise than to the KL-regularised optimum.

Both have one logit for each prefix and token, so whatever separates them from the optimum is their
training and nothing else.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from irl.token_mdp import Levels, TokenMDP, along, expectation

_DPO_RATE, _POLICY_RATE = 0.05, 0.5


def without_kl(mdp: TokenMDP, steps: int = 60) -> Levels:
    """Exact gradient ascent of E[R], from the reference, with nothing that holds it there."""
    logits = [level.clone().requires_grad_() for level in mdp.reference]
    optimiser = torch.optim.SGD(logits, lr=_POLICY_RATE)
    for _ in range(steps):
        optimiser.zero_grad()
        (-expectation(_policy(logits), mdp.returns).sum()).backward()
        optimiser.step()
    return tuple(level.detach() for level in _policy(logits))


def by_dpo(mdp: TokenMDP, beta: float, pairs: int = 4000, steps: int = 80, seed: int = 0) -> Levels:
    """Direct preference optimisation (2305.18290) on pairs of reference answers to each prompt.

    Labels follow Bradley-Terry on the true reward. Answers that stand in no pair keep the odds that
    they get from their prefixes: the implicit reward is known where there were pairs.
    """
    generator = torch.Generator().manual_seed(seed)
    shares = along(mdp.reference).exp()
    drawn = torch.multinomial(shares, 2 * pairs, replacement=True, generator=generator)
    one, other = drawn.split(pairs, 1)
    better = torch.sigmoid(mdp.returns.gather(1, one) - mdp.returns.gather(1, other))
    wins = torch.rand(better.shape, generator=generator, dtype=better.dtype) < better
    chosen, rejected = torch.where(wins, one, other), torch.where(wins, other, one)
    logits = [level.clone().requires_grad_() for level in mdp.reference]
    optimiser = torch.optim.Adam(logits, lr=_DPO_RATE)
    start = along(mdp.reference)
    for _ in range(steps):
        ratio = along(_policy(logits)) - start
        margins = beta * (ratio.gather(1, chosen) - ratio.gather(1, rejected))
        optimiser.zero_grad()
        torch.nn.functional.softplus(-margins).mean().backward()
        optimiser.step()
    return tuple(level.detach() for level in _policy(logits))


def _policy(logits: Sequence[Tensor]) -> Levels:
    return tuple(torch.log_softmax(level, -1) for level in logits)
