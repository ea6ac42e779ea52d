"""Score sequences under one policy, in packed rows where that is exact."""

import logging
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from irl.config import Sampling
from irl.policies.exact import out_of_memory, packed_nats, packs_are_exact
from irl.policies.policy import Policy
from irl.policies.served.policy import ServedPolicy
from irl.tensors import Nats, TokenSequence, by_length

CPU_ROW_TOKENS = 2048
"Larger rows are slower: a layer's activations leave the cache and are mapped anew by each layer"
_LEAST_ROW_TOKENS = 64
_LOG = logging.getLogger("irl")


def score_policy(
    policy: Policy, sequences: Sequence[TokenSequence], sampling: Sampling
) -> list[torch.Tensor]:
    """Nats per response token under one policy, in the order given.

    Where memory runs out, rows of half the size do the rest, and all that comes later. A policy
    that is served is asked.
    """
    if isinstance(policy, ServedPolicy):
        return policy.nats(sequences)
    nats: list[torch.Tensor] = [torch.empty(0)] * len(sequences)
    waiting = [index for index, sequence in enumerate(sequences) if sequence.response_ids]
    while waiting:
        row_tokens = _row_tokens(policy, sampling)
        done = set()
        try:
            for number, row in _scored(policy, [sequences[at] for at in waiting], row_tokens):
                nats[waiting[number]] = row
                done.add(waiting[number])
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error) or row_tokens <= _LEAST_ROW_TOKENS:
                raise
            policy.path.row_tokens = row_tokens // 2
            _LOG.warning("Out of memory; going on with %d tokens at once.", row_tokens // 2)
        waiting = [index for index in waiting if index not in done]
    return nats


def response_nats(
    policy: Policy, sequences: Sequence[TokenSequence], sampling: Sampling
) -> NDArray[np.float64]:
    """Log-probability of each response as a whole: its nats, summed in float64."""
    return np.array(
        [float(one.double().sum()) for one in score_policy(policy, sequences, sampling)]
    )


def scoring_facts(**policies: Policy) -> dict[str, object]:
    """How policies were scored, for the log of a run."""
    paths = {name: policy.path.facts() for name, policy in policies.items()}
    return {"threads": torch.get_num_threads(), **paths}


def _scored(
    policy: Policy, sequences: Sequence[TokenSequence], row_tokens: int
) -> Iterator[tuple[int, Nats]]:
    if packs_are_exact(policy, sequences):
        yield from packed_nats(policy, sequences, row_tokens)
    else:
        for batch in by_length([len(sequence) for sequence in sequences], row_tokens):
            yield from zip(batch, policy.nats([sequences[at] for at in batch]), strict=True)


def _row_tokens(policy: Policy, sampling: Sampling) -> int:
    if policy.path.row_tokens is not None:
        return policy.path.row_tokens
    on_cpu = policy.device.type == "cpu"
    return min(sampling.token_budget, CPU_ROW_TOKENS) if on_cpu else sampling.token_budget
