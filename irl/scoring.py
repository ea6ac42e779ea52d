"""From hidden states to nats: log pi(token | everything before it).

    nats(t) = logits(t)[token] - logsumexp(logits(t))        always in float32

The head is applied to the wanted positions only and in chunks, so the largest tensor is
[chunk, vocabulary]; a full [batch, time, vocabulary] log-softmax never exists.
"""

from collections.abc import Callable

import torch

from irl.tensors import Hidden, Logits, Nats, Targets

Head = Callable[[Hidden], Logits]
CHUNK_POSITIONS = 2048


def token_nats(hidden: Hidden, targets: Targets, head: Head, chunk: int = CHUNK_POSITIONS) -> Nats:
    """Log-probability in nats of each target under the head at its own hidden state.

    Args:
        hidden: the states from which the targets are predicted.
        targets: token ids, one per state.
        head: hidden states to logits.
        chunk: positions per application of the head; the result does not depend on it.
    """
    parts = [
        _chunk_nats(head(some), wanted)
        for some, wanted in zip(hidden.split(chunk), targets.split(chunk), strict=True)
    ]
    return torch.cat(parts) if parts else hidden.new_empty(0, dtype=torch.float32)


def _chunk_nats(logits: Logits, targets: Targets) -> Nats:
    logits = logits.float()
    chosen = logits.gather(-1, targets[:, None]).squeeze(-1)
    return chosen - logits.logsumexp(-1)
