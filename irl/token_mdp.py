"""A token MDP small enough to enumerate: values, the KL-regularised optimum, its frontier; exact.

States are prefixes of a response, an action appends a token, every response has the same number of
tokens. With r the reward of a token, pi_ref the reference and beta the price of one nat of KL, one
pass from the last token to the first gives

    Q(s, a) = r(s, a) + V(s a),   V(s) = beta log sum_a pi_ref(a|s) exp(Q(s, a) / beta)
    pi*(a|s) = pi_ref(a|s) exp((Q(s, a) - V(s)) / beta),   log Z(x) = V(x) / beta

(2404.12358; the KL-regularised value backup of 2402.16181, whose transitions are known here). So
beta log pi* / pi_ref summed over a response is R(y) - V(x): R is identified up to V(x) and beta,
and of the rewards of tokens only their sum over a response.

Level t holds one number for each prompt, prefix of t tokens and next token, [prompt, prefix, token]
with prefixes in the order of their tokens as digits; T levels make a policy or a reward.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Levels = tuple[Tensor, ...]
"Level t: [prompt, vocabulary^t, vocabulary]"


@dataclass(frozen=True)
class TokenMDP:
    """What a policy starts from, and what each token pays."""

    reference: Levels
    "log pi_ref, nats"
    rewards: Levels
    "of tokens, in units of the reward"

    @property
    def horizon(self) -> int:
        """Tokens of every response."""
        return len(self.reference)

    @property
    def vocabulary(self) -> int:
        """Number of tokens."""
        return self.reference[0].shape[-1]

    @property
    def returns(self) -> Tensor:
        """R(x, y) of every response, [prompt, response]."""
        return along(self.rewards)


@dataclass(frozen=True)
class Optimum:
    """The solution at one beta."""

    beta: float
    values: tuple[Tensor, ...]
    "V of each prefix, [prompt, prefix] for 0 to T - 1 tokens; values[0] is beta log Z"
    advantages: Levels
    "Q - V; beta times the token's log-ratio"
    policy: Levels
    "log pi*, nats"


@dataclass(frozen=True)
class FrontierPoint:
    """What a policy earns and how far it went, mean over prompts."""

    beta: float
    reward: float
    kl_nats: float


def solve(mdp: TokenMDP, beta: float) -> Optimum:
    """Backward soft-value pass."""
    following = torch.zeros_like(mdp.returns)
    values: list[Tensor] = []
    advantages: list[Tensor] = []
    for reference, reward in zip(reversed(mdp.reference), reversed(mdp.rewards), strict=True):
        q = reward + following.view_as(reward)
        following = beta * torch.logsumexp(reference + q / beta, dim=-1)
        values.insert(0, following)
        advantages.insert(0, q - following[..., None])
    levels = zip(mdp.reference, advantages, strict=True)
    policy = tuple(reference + advantage / beta for reference, advantage in levels)
    return Optimum(beta, tuple(values), tuple(advantages), policy)


def along(levels: Levels) -> Tensor:
    """The sum over the tokens of every response, [prompt, vocabulary^T].

    Of log-probabilities it is log pi(y|x), of rewards R(x, y).
    """
    total = levels[0].new_zeros(len(levels[0]), 1)
    for level in levels:
        total = (total[..., None] + level).flatten(1)
    return total


def tokens_of(vocabulary: int, horizon: int) -> Tensor:
    """The tokens of every response in the order of `along`, [response, time]."""
    return torch.cartesian_prod(*[torch.arange(vocabulary)] * horizon).view(-1, horizon)


def expectation(policy: Levels, of: Tensor) -> Tensor:
    """E over a policy's responses of a number for each, [prompt]."""
    return (along(policy).exp() * of).sum(-1)


def kl_nats(policy: Levels, reference: Levels) -> Tensor:
    """KL(policy || reference) of whole responses, [prompt]."""
    return expectation(policy, along(policy) - along(reference))


def frontier(mdp: TokenMDP, betas: Sequence[float]) -> list[FrontierPoint]:
    """The best reward at each KL: no policy lies above the curve of the optima."""
    points = []
    for beta in betas:
        policy = solve(mdp, beta).policy
        reward = expectation(policy, mdp.returns).mean()
        kl = kl_nats(policy, mdp.reference).mean()
        points.append(FrontierPoint(beta, float(reward), float(kl)))
    return points


def shaped(rewards: Levels, potentials: Sequence[Tensor]) -> Levels:
    """The rewards with r(s, a) + phi(s a) - phi(s) for each token, phi = 0 for whole responses.

    Args:
        rewards: of tokens.
        potentials: phi of each prefix, [prompt, prefix] for 0 to T - 1 tokens.

    Returns:
        Rewards with the same optimum: returns change by -phi(x), a constant of the prompt
        (Ng, Harada and Russell 1999).
    """
    last = torch.zeros_like(along(rewards))
    nexts = [*potentials[1:], last]
    return tuple(
        reward + following.view_as(reward) - here[..., None]
        for reward, here, following in zip(rewards, potentials, nexts, strict=True)
    )
