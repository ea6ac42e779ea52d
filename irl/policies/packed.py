"""Score packed rows: a transformers attention of our own, for models as they are.

transformers calls whatever attention is registered under the name in a model's config. Ours reads
which tokens see which from the pack that is being scored, so any architecture that goes through
that door is computed without padding and without reading a prompt twice. Architectures whose tokens
meet in another way (recurrent layers, biases by distance) come out wrong: `irl.policies.exact`
finds out, and they are scored in padded batches.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from irl.packing import Block, Pack
from irl.policies.policy import Policy
from irl.scoring import token_nats
from irl.tensors import Nats

_NAME = "irl_packed"


@dataclass
class _Row:
    """The blocks of the row at hand, and their masks, which all layers share."""

    blocks: Sequence[Block]
    copies: dict[torch.device, list[Block]] = field(default_factory=dict)
    masks: dict[tuple[torch.device, int, int | None], Tensor] = field(default_factory=dict)

    def on(self, device: torch.device) -> list[Block]:
        """The blocks where a layer lies: not all lie in one place if the model is split."""
        if device not in self.copies:
            self.copies[device] = [block.to(device) for block in self.blocks]
        return self.copies[device]

    def mask(self, device: torch.device, number: int, window: int | None) -> Tensor | None:
        """Visible keys of a block, [run, 1, query, key]; None where it is plainly causal."""
        block = self.on(device)[number]
        if block.plainly_causal(window):
            return None
        key = device, number, window
        if key not in self.masks:
            self.masks[key] = block.visible(window)[:, None]
        return self.masks[key]


_ROW: ContextVar[_Row] = ContextVar("row")


@torch.inference_mode()
def pack_nats(policy: Policy, pack: Pack) -> list[Nats]:
    """Nats of every response token of a pack, one tensor per member, on the CPU."""
    row = {"input_ids": pack.ids, "position_ids": pack.positions}
    with policy.active(), _attending(policy, pack):
        output = policy.body(
            **{name: ids[None].to(policy.device) for name, ids in row.items()}, use_cache=False
        )
        states = output.last_hidden_state
        hidden = states[0, pack.predicting.to(states.device)].to(policy.head_device)
        del output, states
        targets = pack.targets.to(policy.head_device)
        nats = token_nats(hidden, targets, policy.streamed_head).cpu()
    return list(nats.split(list(pack.lengths)))


@contextmanager
def _attending(policy: Policy, pack: Pack) -> Iterator[None]:
    config = policy.model.config
    before = config._attn_implementation
    row = _ROW.set(_Row(pack.blocks))
    try:
        config._attn_implementation = _NAME
        yield
    finally:
        config._attn_implementation = before
        _ROW.reset(row)


def _packed_attention(
    _module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    _mask: Tensor | None,
    **settings: Any,
) -> tuple[Tensor, None]:
    """Attention within the runs of the row: [1, head, token, channel] to [1, token, head, channel].

    Of the settings, `scaling`, `sliding_window` and `softcap` count, as each architecture gives
    them for each layer.
    """
    row = _ROW.get()
    scale = settings.get("scaling") or query.shape[-1] ** -0.5
    attend = partial(_attention, scale=scale, cap=settings.get("softcap"))
    out = query.new_empty(query.shape[2], query.shape[1], value.shape[3])
    for number, block in enumerate(row.on(query.device)):
        seen = attend(
            query[0, :, block.queries].transpose(0, 1),
            key[0, :, block.keys].transpose(0, 1),
            value[0, :, block.keys].transpose(0, 1),
            row.mask(query.device, number, settings.get("sliding_window")),
        )
        out[block.stand_at] = seen.transpose(1, 2)[block.real]
    return out[None], None


def _attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float, cap: float | None
) -> Tensor:
    if cap is None:
        grouped = query.shape[1] != key.shape[1]
        return scaled_dot_product_attention(
            query, key, value, mask, is_causal=mask is None, scale=scale, enable_gqa=grouped
        )
    key, value = (
        part.repeat_interleave(query.shape[1] // part.shape[1], dim=1) for part in (key, value)
    )
    logits = torch.tanh(query @ key.transpose(2, 3) * (scale / cap)) * cap
    unseen = torch.ones(logits.shape[2:], dtype=torch.bool, device=query.device).triu(1)
    logits = logits.masked_fill(unseen if mask is None else ~mask, -torch.inf)
    weights: Tensor = logits.softmax(-1, dtype=torch.float32).to(value.dtype)
    return weights @ value


AttentionInterface.register(_NAME, _packed_attention)
