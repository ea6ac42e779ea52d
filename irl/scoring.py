"""From hidden states to nats: log pi(token | everything before it).

    nats(t) = logits(t)[token] - logsumexp(logits(t))        always in float32

The head is applied to the wanted positions only, and a full [batch, time, vocabulary] log-softmax
never exists. A head that is a linear layer is applied to a slice of the vocabulary at a time, with
the log-sum-exp carried along (Milakov and Gimelshein, 2018, algorithm 3):

    m' = max(m, max of the slice)        s' = s exp(m - m') + sum of exp(slice - m')

so that the largest tensor is [chunk, slice] and fits a processor's cache. Any other head is applied
to chunks of positions, over the whole vocabulary.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from irl.tensors import Hidden, Logits, Nats, Targets

Head = Callable[[Hidden], Logits]
CHUNK_POSITIONS = 64
STREAMED_POSITIONS = 1024
SLICE_PIECES = 2048


@dataclass(frozen=True, eq=False)
class LinearHead:
    """Logits as finish(hidden @ weight.T + bias), where `finish` acts on each logit alone.

    Streamed without gradients: the logits are overwritten.
    """

    weight: Tensor
    "[vocabulary, hidden]"
    bias: Tensor | None
    finish: Callable[[Logits], Logits]

    def __call__(self, hidden: Hidden, first: int = 0, last: int | None = None) -> Logits:
        """Logits in float32 of the pieces from `first` up to, not including, `last`."""
        bias = None if self.bias is None else self.bias[first:last].float()
        weight = self.weight[first:last].float()
        return self.finish(torch.nn.functional.linear(hidden.float(), weight, bias))


def token_nats(hidden: Hidden, targets: Targets, head: Head, chunk: int | None = None) -> Nats:
    """Log-probability in nats of each target under the head at its own hidden state.

    Args:
        hidden: the states from which the targets are predicted.
        targets: token ids, one per state.
        head: hidden states to logits.
        chunk: positions per application of the head; the result does not depend on it.
    """
    linear = isinstance(head, LinearHead)
    chunk = chunk or (STREAMED_POSITIONS if linear else CHUNK_POSITIONS)
    parts = [
        _streamed_nats(some, wanted, head)
        if isinstance(head, LinearHead)
        else _chunk_nats(head(some), wanted)
        for some, wanted in zip(hidden.split(chunk), targets.split(chunk), strict=True)
    ]
    return torch.cat(parts) if parts else hidden.new_empty(0, dtype=torch.float32)


def _chunk_nats(logits: Logits, targets: Targets) -> Nats:
    logits = logits.float()
    chosen = logits.gather(-1, targets[:, None]).squeeze(-1)
    return chosen - logits.logsumexp(-1)


def _streamed_nats(hidden: Hidden, targets: Targets, head: LinearHead) -> Nats:
    chosen = torch.zeros(len(hidden), device=hidden.device)
    largest, total = torch.full_like(chosen, -torch.inf), torch.zeros_like(chosen)
    for first in range(0, len(head.weight), SLICE_PIECES):
        logits = head(hidden, first, first + SLICE_PIECES)
        here = (targets >= first) & (targets < first + logits.shape[1])
        at = (targets - first).clamp(0, logits.shape[1] - 1)
        chosen = torch.where(here, logits.gather(1, at[:, None]).squeeze(1), chosen)
        raised = torch.maximum(largest, logits.amax(-1))
        slices = logits.sub_(raised[:, None]).exp_()  # in place: a copy would leave the cache
        total = total * (largest - raised).exp() + slices.sum(-1)
        largest = raised
    return chosen - (largest + total.log())
