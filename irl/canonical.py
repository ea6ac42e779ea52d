"""Rewards of tokens, freed of potential shaping: what is left can be compared.

Two rewards of tokens pay every response alike, up to a constant of the prompt, exactly if they
differ by shaping phi(s a) - phi(s) (irl/token_mdp.py). A canonical form maps both to one. States
are prefixes, so the successor s a of a token is known, gamma is 1, and whole responses pay nothing
more.

- value canonicalisation (STARC, 2309.15257): C(s, a) = r(s, a) + V(s a) - V(s), with V the values
  of a fixed policy; here the reference. Blind to every shaping, on every prefix.
- DARD (2201.10081): C(s, a) = r(s, a) + m(s a) - m(s) - E_A[m(s A)], with m(s) = E_A[r(s, A)]. It
  asks for one step only, no values. Its last term looks from s A at the successors of s a, which in
  a tree no s A reaches; with its own successors in their place, shaping cancels only up to
  E[phi(s a A)] - E[phi(s A A')]: 0 where potentials two tokens on do not depend on this one.

The distance is that of directions, weighed by how often the policy comes by:
d = sqrt((1 - rho) / 2), rho = E[C1 C2] / sqrt(E[C1^2] E[C2^2]); 0 for rewards that differ by
shaping and a positive scale, 1 for opposite ones.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from irl.token_mdp import Levels

Canonical = Callable[[Levels, Levels], Levels]
"(rewards, log-probabilities of the policy) to the canonical form"


def by_values(rewards: Levels, policy: Levels) -> Levels:
    """r(s, a) + V(s a) - V(s): the advantages of the policy's own tokens, mean 0 at each prefix."""
    found: list[Tensor] = []
    following = torch.zeros_like(rewards[-1])
    for reward, log_p in zip(reversed(rewards), reversed(policy), strict=True):
        q = reward + following.view_as(reward)
        following = (log_p.exp() * q).sum(-1)
        found.insert(0, q - following[..., None])
    return tuple(found)


def by_steps(rewards: Levels, policy: Levels) -> Levels:
    """DARD, with the successors that a text has."""
    steps = [(log_p.exp() * r).sum(-1) for r, log_p in zip(rewards, policy, strict=True)]
    found = []
    for t, (reward, log_p) in enumerate(zip(rewards, policy, strict=True)):
        last = t + 1 == len(rewards)
        following = torch.zeros_like(reward) if last else steps[t + 1].view_as(reward)
        beyond = (log_p.exp() * following).sum(-1)
        found.append(reward + following - (steps[t] + beyond)[..., None])
    return tuple(found)


def token_distance(
    one: Levels, other: Levels, policy: Levels, canonical: Canonical = by_values
) -> float:
    """How far apart two rewards of tokens are; NaN where one pays nothing but shaping.

    Args:
        one: rewards of tokens.
        other: likewise.
        policy: log-probabilities, of the policy that weighs and canonicalises.
        canonical: by values or by steps.
    """
    products = torch.zeros(3, dtype=torch.float64)
    reached = torch.ones_like(policy[0][..., 0])
    forms = canonical(one, policy), canonical(other, policy)
    for log_p, first, second in zip(policy, *forms, strict=True):
        weights = reached[..., None] * log_p.exp()
        for at, product in enumerate((first * second, first**2, second**2)):
            products[at] += (weights * product).sum().double()
        reached = weights.flatten(1)
    rho = (products[0] / (products[1] * products[2]).sqrt()).clamp(-1.0, 1.0)
    return float(((1 - rho) / 2).sqrt())
