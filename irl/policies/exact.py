"""Whether packed rows score a policy as padded batches do: tried, not believed.

At first use, and whenever a longer sequence comes than was tried, the longest one is scored both
ways beside two that are cut from it: one that shares its prompt, one that does not. Weights in half
precision are compared in float32, where both ways should agree to rounding, and what half precision
itself costs is measured on sequences of the run.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from irl.packing import packs
from irl.policies.packed import pack_nats
from irl.policies.policy import Policy
from irl.tensors import Nats, TokenSequence

TOLERANCE_NATS = 1e-3
"per response"
_PRECISION_SEQUENCES = 16
_LOG = logging.getLogger("irl")


def packs_are_exact(policy: Policy, sequences: Sequence[TokenSequence]) -> bool:
    """Whether packed rows may score these sequences; said once in the log if not.

    It depends on the length of the longest alone, not on what was scored before: a run that was
    interrupted goes on as it would have.
    """
    path = policy.path
    longest = max(sequences, key=len)
    if path.precision_nats is None and policy.model.dtype != torch.float32:
        path.precision_nats = precision_nats(policy, sequences)
    if path.failed_tokens is not None and len(longest) >= path.failed_tokens:
        return False
    if len(longest) <= path.checked_tokens:
        return True
    with in_float32(policy.model):
        reason = _difference(policy, longest)
    if reason is None:
        path.checked_tokens = len(longest)
        return True
    if path.plain_because is None:
        said = "%s is scored in padded batches, which are slower: %s."
        _LOG.warning(said, policy.checkpoint.source, reason)
    path.plain_because, path.failed_tokens = reason, len(longest)
    return False


def packed_nats(
    policy: Policy, sequences: Sequence[TokenSequence], row_tokens: int
) -> Iterator[tuple[int, Nats]]:
    """The number of each sequence and its nats, row after row."""
    for pack in packs(sequences, row_tokens):
        yield from zip(pack.members, pack_nats(policy, pack), strict=True)


def precision_nats(policy: Policy, sequences: Sequence[TokenSequence]) -> float:
    """What computing in half precision costs: mean absolute difference from float32, per response.

    On some of the sequences, evenly over their lengths. The weights are the rounded ones both
    times: what rounding them has cost is not seen.
    """
    ordered = sorted(sequences, key=len)
    some = ordered[:: max(len(ordered) // _PRECISION_SEQUENCES, 1)]
    halved = _sums(policy.nats(some))
    with in_float32(policy.model):
        return (halved - _sums(policy.nats(some))).abs().mean().item()


@contextmanager
def in_float32(model: torch.nn.Module) -> Iterator[None]:
    """Compute in float32 with the weights as they are; afterwards they are what they were."""
    halves = [
        tensor
        for tensor in (*model.parameters(), *model.buffers())
        if tensor.is_floating_point() and tensor.dtype != torch.float32
    ]
    before = [tensor.dtype for tensor in halves]
    try:
        for tensor in halves:
            tensor.data = tensor.data.float()
        yield
    finally:
        for tensor, dtype in zip(halves, before, strict=True):
            tensor.data = tensor.data.to(dtype)


def out_of_memory(error: BaseException) -> bool:
    """Whether it was memory: CUDA and Python raise kinds of their own, torch on the CPU says so."""
    kinds = (MemoryError, torch.OutOfMemoryError)
    return isinstance(error, kinds) or "can't allocate memory" in str(error)


def _difference(policy: Policy, longest: TokenSequence) -> str | None:
    if "position_ids" not in policy.body_arguments:
        return "the architecture takes no position ids"
    prompt, response = longest.prompt_ids, longest.response_ids
    trio = [
        longest,
        TokenSequence(prompt, response[len(response) // 2 :]),
        TokenSequence(prompt[: len(prompt) // 2 + 1], response),
    ]
    plain = _sums(policy.nats(trio))
    try:
        scored = dict(packed_nats(policy, trio, sum(map(len, trio))))
    except Exception as error:  # an architecture's own code may raise anything
        if out_of_memory(error):
            raise
        return f"its layers do not take packed rows ({type(error).__name__})"
    gap = (plain - _sums([scored.get(n, torch.zeros(0)) for n in range(3)])).abs().max().item()
    policy.path.gap_nats = max(policy.path.gap_nats, gap)
    if not gap <= TOLERANCE_NATS:
        return f"in packed rows its scores differ by {gap:.2g} nats"
    return None


def _sums(nats: Sequence[torch.Tensor]) -> torch.Tensor:
    return torch.stack([row.double().sum() for row in nats])
