"""Answers of a pair's geometric mixture, token by token.

    p_alpha(t | s)  ~  reference(t | s) (aligned(t | s) / reference(t | s))^(1 + alpha)

alpha -1 is the reference, 0 the aligned policy. Where the log-ratio is reward over beta, this is
what a price of beta / (1 + alpha) would have made, up to the normalisation at every token.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache

from irl.policies.pair import PolicyPair
from irl.policies.policy import Policy
from irl.policies.sample import Ids, advance, draw, left_padded

_ROWS = 64
"Answers that are drawn at once"


@dataclass(frozen=True)
class Mixed:
    """One answer, with its log-probability under the mixture and under the reference."""

    ids: Ids
    nats: float
    reference_nats: float


@torch.inference_mode()
def sample_mixture(
    pair: PolicyPair,
    prompts: Sequence[Ids],
    alpha: float,
    generator: torch.Generator,
    max_new_tokens: int,
) -> list[Mixed]:
    """One answer to each prompt, in the order given."""
    found: list[Mixed] = []
    for start in range(0, len(prompts), _ROWS):
        found += _rows(pair, prompts[start : start + _ROWS], alpha, generator, max_new_tokens)
    return found


def _rows(
    pair: PolicyPair,
    prompts: Sequence[Ids],
    alpha: float,
    generator: torch.Generator,
    max_new_tokens: int,
) -> list[Mixed]:
    ids, attention = left_padded(prompts, pair.reference.pad_id)
    sides = [_Side(policy) for policy in (pair.aligned, pair.reference)]
    ends = torch.tensor(sorted(pair.eos_ids))
    alive = torch.ones(len(prompts), dtype=torch.bool)
    nats = torch.zeros(2, len(prompts), dtype=torch.float64)
    drawn: list[list[int]] = [[] for _ in prompts]
    for _ in range(max_new_tokens):
        aligned, reference = (side.log_probabilities(ids, attention) for side in sides)
        mixed = torch.log_softmax((1 + alpha) * aligned - alpha * reference, dim=-1)
        tokens = draw(mixed, 1.0, generator)
        for at, scores in enumerate((mixed, reference)):
            nats[at] += torch.where(alive, scores.gather(1, tokens[:, None])[:, 0].double(), 0.0)
        for row in alive.nonzero().squeeze(1).tolist():
            drawn[row].append(int(tokens[row]))
        alive &= ~torch.isin(tokens, ends)
        if not alive.any():
            break
        ids = tokens[:, None]
        attention = torch.cat([attention, torch.ones(len(prompts), 1, dtype=torch.long)], dim=1)
    return [Mixed(tuple(row), *map(float, both)) for row, both in zip(drawn, nats.T, strict=True)]


class _Side:
    """A policy that reads on where it was."""

    def __init__(self, policy: Policy) -> None:
        self.policy, self.cache = policy, DynamicCache(config=policy.model.config)

    def log_probabilities(self, ids: Tensor, attention: Tensor) -> Tensor:
        """Of the next token, [row, piece]."""
        with self.policy.active():
            hidden = advance(self.policy, ids, attention, self.cache)
            return torch.log_softmax(self.policy.head(hidden).float(), dim=-1).cpu()
