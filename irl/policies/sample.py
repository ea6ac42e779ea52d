"""Ancestral sampling with an explicit generator.

The checkpoint's own generation defaults (top-k, top-p, repetition penalties) are not used: the
log-ratio is a statement about the policy itself, and only plain samples of it estimate its means.

1. Left-pad the distinct prompts that enter, fill the cache, and repeat it for every response.
2. Draw one token per row from softmax(logits / temperature).
3. Rows whose response has ended leave once enough of them are done, columns that only they needed
   leave with them, and responses that wait enter in their place (continuous batching, Orca, 2022).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from irl.policies.policy import Policy

Ids = tuple[int, ...]
_SHRINK_BELOW = 0.75
_BLOCK_PIECES = 64


@torch.inference_mode()
def sample(
    policy: Policy,
    prompts: Sequence[Ids],
    generator: torch.Generator,
    *,
    max_new_tokens: int,
    temperature: float = 1.0,
    eos_ids: frozenset[int] | None = None,
    token_budget: int | None = None,
) -> list[Ids]:
    """One response per prompt, as ids with the end token if one was drawn.

    Args:
        policy: who answers.
        prompts: encoded prompts, one per wanted response (repeat a prompt for several). They enter
            in this order: put long ones first, and copies of one beside each other.
        generator: on the CPU; the same state, prompts and budget give the same responses.
        max_new_tokens: responses that reach it are cut and carry no end token.
        temperature: divides the logits; 1 samples the policy itself.
        eos_ids: tokens that end a response; the policy's own if None.
        token_budget: what all rows may hold at once, padding and tokens to come included; None for
            no limit. One row is always allowed.
    """
    ends = torch.tensor(sorted(policy.eos_ids if eos_ids is None else eos_ids))
    responses: list[list[int]] = [[] for _ in prompts]
    longest_left = [*accumulate(map(len, reversed(prompts)), max)][::-1]
    begun, rows = 0, None
    with policy.active():
        while begun < len(prompts) or rows is not None:
            entering = _entering(longest_left, begun, rows, max_new_tokens, token_budget)
            if entering:
                entered = _Rows.of(policy, prompts, entering, max_new_tokens)
                rows = entered if rows is None else rows.joined(entered)
                begun = entering.stop
            assert rows is not None
            tokens = draw(policy.head(rows.hidden), temperature, generator)
            for number, token in zip(rows.numbers.tolist(), tokens.tolist(), strict=True):
                if number >= 0:
                    responses[number].append(token)
            rows = rows.after(tokens, ends)
    return [tuple(response) for response in responses]


@dataclass(frozen=True, eq=False)
class _Rows:
    """Responses that are being written, each behind its prompt, left-padded to one width."""

    policy: Policy
    numbers: Tensor
    "whose responses these are; -1 once one has ended"
    left: Tensor
    "tokens that each may still draw"
    reach: Tensor
    "tokens of each when it is as long as allowed"
    attention: Tensor
    cache: DynamicCache
    hidden: Tensor
    "[row, hidden]: what the next token is drawn from"

    @classmethod
    def of(
        cls, policy: Policy, prompts: Sequence[Ids], numbers: range, max_new_tokens: int
    ) -> "_Rows":
        """Read each distinct prompt once."""
        wanted = prompts[numbers.start : numbers.stop]
        place = {prompt: at for at, prompt in enumerate(dict.fromkeys(wanted))}
        ids, attention = left_padded(list(place), policy.pad_id)
        cache = DynamicCache(config=policy.model.config)
        hidden = advance(policy, ids, attention, cache)
        asked = torch.tensor([place[prompt] for prompt in wanted])
        _select(cache, asked)
        return cls(
            policy,
            torch.tensor(numbers),
            torch.full((len(wanted),), max_new_tokens),
            torch.tensor([len(prompt) + max_new_tokens for prompt in wanted]),
            attention[asked],
            cache,
            hidden[asked.to(hidden.device)],
        )

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def joinable(self) -> bool:
        """Whether each layer of the cache is plain keys and values, one for every column."""
        return all(type(layer) is DynamicLayer for layer in self.cache.layers)

    def after(self, tokens: Tensor, ends: Tensor) -> "_Rows | None":
        """Take the drawn tokens in; None once every response has ended."""
        left = self.left - 1
        numbers = torch.where(torch.isin(tokens, ends) | (left <= 0), -1, self.numbers)
        alive = numbers >= 0
        if not alive.any():
            return None
        keep = torch.arange(len(self))
        attention = self.attention
        if alive.float().mean() < _SHRINK_BELOW:
            keep = alive.nonzero().squeeze(1)
            attention = self._narrowed(keep)
        attention = torch.cat([attention, attention.new_ones(len(keep), 1)], dim=1)
        hidden = advance(self.policy, tokens[keep, None], attention, self.cache)
        sizes = numbers[keep], left[keep], self.reach[keep]
        return _Rows(self.policy, *sizes, attention, self.cache, hidden)

    def joined(self, others: "_Rows") -> "_Rows":
        """Both side by side, as wide as the wider."""
        both = zip(_stored(self.cache), _stored(others.cache), strict=True)
        for (layer, keys, values), (_, more_keys, more_values) in both:
            layer.keys = _stacked(keys, more_keys, dim=2)
            layer.values = _stacked(values, more_values, dim=2)
        return _Rows(
            self.policy,
            torch.cat([self.numbers, others.numbers]),
            torch.cat([self.left, others.left]),
            torch.cat([self.reach, others.reach]),
            _stacked(self.attention, others.attention, dim=1),
            self.cache,
            torch.cat([self.hidden, others.hidden]),
        )

    def _narrowed(self, keep: Tensor) -> Tensor:
        """Leave some rows in the cache, and of its columns those that one of them needs."""
        _select(self.cache, keep)
        attention = self.attention[keep]
        empty = int(attention.argmax(1).min()) if self.joinable else 0
        if empty:
            for layer, keys, values in _stored(self.cache):
                layer.keys, layer.values = keys[:, :, empty:], values[:, :, empty:]
        return attention[:, empty:]


def _entering(
    longest_left: Sequence[int],
    begun: int,
    rows: _Rows | None,
    max_new_tokens: int,
    token_budget: int | None,
) -> range:
    """The responses that are begun now: none unless many can be, so that prompts are read together.

    `longest_left` holds, for each response, the longest prompt from its own on.
    Caches that forget or fold what they have read cannot be put side by side: then rows that wait
    enter when all others have ended.
    """
    if begun == len(longest_left) or (rows is not None and not rows.joinable):
        return range(0)
    longest = longest_left[begun] + max_new_tokens
    if rows is not None:
        longest = max(longest, int(rows.reach.max()))
    most = len(longest_left) if token_budget is None else max(token_budget // longest, 1)
    room = most - (0 if rows is None else len(rows))
    if rows is not None and room <= most * (1 - _SHRINK_BELOW):
        return range(0)
    return range(begun, min(begun + room, len(longest_left)))


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


def draw(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """One piece a row, by inverting the cumulative distribution: a block, then the piece within.

    One uniform number per row. Several times faster on the CPU than torch.multinomial, which draws
    one per row and token, and than a running sum over the whole vocabulary. A piece of probability
    0 is never drawn.
    """
    shares = torch.softmax(logits.float() / temperature, dim=-1)
    whole = shares.shape[1] // _BLOCK_PIECES
    blocks, rest = shares.split([whole * _BLOCK_PIECES, shares.shape[1] - whole * _BLOCK_PIECES], 1)
    sums = blocks.unflatten(1, (whole, _BLOCK_PIECES)).sum(-1)
    until = torch.cat([sums, rest.sum(-1, keepdim=True)], dim=1).cumsum(1, dtype=torch.float64)
    uniform = torch.rand(len(logits), 1, generator=generator, dtype=torch.float64)
    wanted = uniform.to(logits.device) * until[:, -1:]
    block = _first_above(until, wanted)
    before = torch.where(block > 0, until.gather(1, (block - 1).clamp(min=0)), 0.0)
    pieces = block * _BLOCK_PIECES + torch.arange(_BLOCK_PIECES, device=logits.device)
    there = shares.gather(1, pieces.clamp(max=shares.shape[1] - 1)).double()
    within = there.where(pieces < shares.shape[1], 0.0).cumsum(1)
    return (block * _BLOCK_PIECES + _first_above(within, wanted - before)).squeeze(1).cpu()


def _first_above(running: Tensor, wanted: Tensor) -> Tensor:
    """[row, 1]: where a running sum first exceeds a number; its last rise if rounding forbids."""
    below_last = torch.nextafter(running[:, -1:], torch.zeros_like(wanted))
    return torch.searchsorted(running, torch.minimum(wanted, below_last), right=True)


def left_padded(prompts: Sequence[Ids], pad_id: int) -> tuple[Tensor, Tensor]:
    """Ids and attention, [row, time]."""
    longest = max(len(prompt) for prompt in prompts)
    ids = torch.full((len(prompts), longest), pad_id)
    attention = torch.zeros(len(prompts), longest, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, longest - len(prompt) :] = torch.tensor(prompt)
        attention[row, longest - len(prompt) :] = 1
    return ids, attention


def _select(cache: DynamicCache, rows: Tensor) -> None:
    """Leave these rows, in this order; a split model keeps its layers in several places."""
    layers: Sequence[Any] = cache.layers
    for layer in layers:
        keys = getattr(layer, "keys", None)
        layer.batch_select_indices(rows if keys is None else rows.to(keys.device))


def _stored(cache: DynamicCache) -> Iterator[tuple[DynamicLayer, Tensor, Tensor]]:
    """The plain layers that hold keys and values; some architectures share those of another."""
    for layer in cache.layers:
        if isinstance(layer, DynamicLayer) and layer.keys is not None and layer.values is not None:
            yield layer, layer.keys, layer.values


def _stacked(ours: Tensor, theirs: Tensor, dim: int) -> Tensor:
    """Rows above rows; the narrower ones are filled with zeros on the left of the dimension."""
    width = max(ours.shape[dim], theirs.shape[dim])
    behind = [0, 0] * (ours.ndim - 1 - dim)
    return torch.cat([pad(part, (*behind, width - part.shape[dim], 0)) for part in (ours, theirs)])
