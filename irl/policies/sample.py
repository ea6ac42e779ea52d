"""Ancestral sampling with an explicit generator.

The checkpoint's own generation defaults (top-k, top-p, repetition penalties) are not used: the
log-ratio is a statement about the policy itself, and only plain samples of it estimate its means.

1. Left-pad the distinct prompts of a batch, fill the cache, and repeat it for every response.
2. Draw one token per row from softmax(logits / temperature).
3. Rows that drew a token that ends a response leave the batch once enough of them are done.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import DynamicCache

from irl.policies.policy import Policy

Ids = tuple[int, ...]
_SHRINK_BELOW = 0.75


@torch.inference_mode()
def sample(
    policy: Policy,
    prompts: Sequence[Ids],
    generator: torch.Generator,
    *,
    max_new_tokens: int,
    temperature: float = 1.0,
    eos_ids: frozenset[int] | None = None,
) -> list[Ids]:
    """One response per prompt, as ids with the end token if one was drawn.

    Args:
        policy: who answers.
        prompts: encoded prompts, one per wanted response (repeat a prompt for several).
        generator: on the CPU; the same state and batch give the same responses.
        max_new_tokens: responses that reach it are cut and carry no end token.
        temperature: divides the logits; 1 samples the policy itself.
        eos_ids: tokens that end a response; the policy's own if None.
    """
    ends = torch.tensor(sorted(policy.eos_ids if eos_ids is None else eos_ids))
    number = {prompt: at for at, prompt in enumerate(dict.fromkeys(prompts))}
    ids, attention = _left_padded(list(number), policy.pad_id)
    asked = torch.tensor([number[prompt] for prompt in prompts])
    responses: list[list[int]] = [[] for _ in prompts]
    rows = torch.arange(len(prompts))
    cache = DynamicCache(config=policy.model.config)
    with policy.active():
        hidden = advance(policy, ids, attention, cache)[asked.to(policy.device)]
        cache.batch_select_indices(asked.to(policy.device))
        attention = attention[asked]
        for step in range(max_new_tokens):
            if step > 0:
                hidden = advance(policy, ids, attention, cache)
            tokens = _draw(policy.head(hidden), temperature, generator)
            for row, token in zip(rows.tolist(), tokens.tolist(), strict=True):
                if row >= 0:
                    responses[row].append(token)
            rows = torch.where(torch.isin(tokens, ends), -1, rows)
            alive = rows >= 0
            if not alive.any():
                break
            ids = tokens[:, None]
            attention = torch.cat([attention, attention.new_ones(len(rows), 1)], dim=1)
            if alive.float().mean() < _SHRINK_BELOW:
                keep = alive.nonzero().squeeze(1)
                cache.batch_select_indices(keep.to(policy.device))
                rows, ids, attention = rows[keep], ids[keep], attention[keep]
    return [tuple(response) for response in responses]


def advance(policy: Policy, ids: Tensor, attention: Tensor, cache: DynamicCache) -> Tensor:
    """The last position's hidden state, [row, hidden]; the cache grows by the ids."""
    positions = (attention.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
    extra = {"position_ids": positions} if "position_ids" in policy.body_arguments else {}
    output = policy.body(
        input_ids=ids.to(policy.device),
        attention_mask=attention.to(policy.device),
        past_key_values=cache,
        use_cache=True,
        **{name: value.to(policy.device) for name, value in extra.items()},
    )
    last: Tensor = output.last_hidden_state[:, -1]
    return last


def _draw(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """By inverting the cumulative distribution: one uniform number per row.

    Several times faster on the CPU than torch.multinomial, which draws one per row and token.
    """
    probabilities = torch.softmax(logits.float() / temperature, dim=-1).cpu()
    cumulative = probabilities.cumsum(-1, dtype=torch.float64)
    uniform = torch.rand(len(logits), 1, generator=generator, dtype=torch.float64)
    drawn = torch.searchsorted(cumulative, uniform * cumulative[:, -1:], right=True)
    return drawn.squeeze(1).clamp(max=logits.shape[-1] - 1)


def _left_padded(prompts: Sequence[Ids], pad_id: int) -> tuple[Tensor, Tensor]:
    longest = max(len(prompt) for prompt in prompts)
    ids = torch.full((len(prompts), longest), pad_id)
    attention = torch.zeros(len(prompts), longest, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, longest - len(prompt) :] = torch.tensor(prompt)
        attention[row, longest - len(prompt) :] = 1
    return ids, attention
