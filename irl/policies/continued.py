"""A prompt that was read once, and continued by many single tokens.

The prompt's keys and values are computed once and repeated for a batch of tokens; an architecture
that takes none reads the prompt again for each token. Memory is bounded by the batch, in tokens.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache

from irl.policies.policy import Policy
from irl.policies.sample import Ids, advance
from irl.scoring import token_nats
from irl.tensors import TokenSequence


@dataclass(frozen=True, eq=False)
class ReadPrompt:
    """A prompt as one policy has read it."""

    policy: Policy
    prompt: Ids
    first_nats: Tensor
    "[vocabulary]: log pi(v | prompt), on the CPU"
    cache: DynamicCache | None
    "None where the architecture takes none"

    @classmethod
    @torch.inference_mode()
    def of(cls, policy: Policy, prompt: Ids) -> "ReadPrompt":
        """Read a prompt."""
        cache = (
            DynamicCache(config=policy.model.config)
            if "past_key_values" in policy.body_arguments
            else None
        )
        ids = torch.tensor([prompt])
        with policy.active():
            if cache is None:
                body = policy.body(input_ids=ids.to(policy.device))
                hidden = body.last_hidden_state[:, -1]
            else:
                hidden = advance(policy, ids, torch.ones_like(ids), cache)
            first = policy.head(hidden)[0].float().log_softmax(-1).cpu()
        return cls(policy, prompt, first, cache)

    def after(self, tokens: Sequence[int], following: int, token_budget: int) -> Tensor:
        """Log pi(following | prompt, v) for each token v, nats.

        Args:
            tokens: the tokens v.
            following: the one token that is asked for after each, say the end of the answer.
            token_budget: tokens of one batch, prompts included.
        """
        rows = max(token_budget // (len(self.prompt) + 2), 1)
        parts = [self._after(part, following) for part in torch.tensor(tokens).split(rows)]
        return torch.cat(parts) if parts else torch.zeros(0)

    @torch.inference_mode()
    def _after(self, tokens: Tensor, following: int) -> Tensor:
        if self.cache is None:
            sequences = [TokenSequence(self.prompt, (v, following)) for v in tokens.tolist()]
            return torch.stack([nats[1] for nats in self.policy.nats(sequences)])
        cache = deepcopy(self.cache)
        cache.batch_repeat_interleave(len(tokens))
        attention = torch.ones(len(tokens), len(self.prompt) + 1, dtype=torch.long)
        wanted = torch.full_like(tokens, following).to(self.policy.device)
        with self.policy.active():
            hidden = advance(self.policy, tokens[:, None], attention, cache)
            return token_nats(hidden, wanted, self.policy.head).cpu()
