"""Shape aliases and batches of tokens."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

TokenIds = Int[Tensor, "batch time"]
Mask = Bool[Tensor, "batch time"]
Hidden = Float[Tensor, "position hidden"]
Logits = Float[Tensor, "position vocabulary"]
Targets = Int[Tensor, " position"]
Nats = Float[Tensor, " position"]


@dataclass(frozen=True)
class TokenSequence:
    """One prompt and one response as token ids; the response starts where the prompt ends."""

    prompt_ids: tuple[int, ...]
    response_ids: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.prompt_ids) + len(self.response_ids)


@dataclass(frozen=True)
class TokenBatch:
    """Right-padded sequences; a response token is predicted from the position before it."""

    ids: TokenIds
    attention: Mask
    predicts_response: Mask
    "True at position t where token t + 1 belongs to the response"

    @property
    def targets(self) -> Targets:
        """The response tokens, sequence after sequence."""
        return self.ids[:, 1:][self.predicts_response[:, :-1]]


def right_padded(sequences: Sequence[TokenSequence], pad_id: int) -> TokenBatch:
    """Put sequences into one batch; pads are masked, so any valid id serves."""
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    starts = torch.tensor([len(sequence.prompt_ids) for sequence in sequences])
    time = torch.arange(int(lengths.max()))
    attention = time < lengths[:, None]
    predicts = (time >= starts[:, None] - 1) & (time < lengths[:, None] - 1)
    ids = torch.full(attention.shape, pad_id)
    for row, sequence in enumerate(sequences):
        ids[row, : lengths[row]] = torch.tensor([*sequence.prompt_ids, *sequence.response_ids])
    return TokenBatch(ids, attention, predicts)


def by_length(lengths: Sequence[int], token_budget: int) -> list[list[int]]:
    """Indices grouped into batches, longest first, each at most `token_budget` padded tokens.

    A sequence longer than the budget gets a batch of its own. Equal lengths keep their order, so
    the grouping is a function of the lengths alone.
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        full = not batches or lengths[batches[-1][0]] * (len(batches[-1]) + 1) > token_budget
        if full:
            batches.append([index])
        else:
            batches[-1].append(index)
    return batches
