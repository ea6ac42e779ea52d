"""How surprising answers are, beyond what the policy expects of its own samples.

At a token x that is drawn from p, -log p(x) has the entropy of p as its mean, whatever came before.
So the sum over an answer of -log p(x) - H(p) has mean 0 for plain samples of the policy, also where
an end token or a limit stops them; and its variance is the mean of the sum of those of -log p, each
under its own p: what follows is drawn anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from irl.policies.policy import Policy
from irl.tensors import TokenSequence, by_length, right_padded

_TOKENS = 4096
"Padded tokens of one batch"
_POSITIONS = 64
"Positions whose whole distribution is held at once"


@dataclass(frozen=True)
class Surprises:
    """Sums over each response."""

    nats: NDArray[np.float64]
    "of -log p - H"
    variance: NDArray[np.float64]
    "of the variance that -log p has for samples of the policy, nats squared"


@torch.inference_mode()
def surprises(policy: Policy, sequences: Sequence[TokenSequence]) -> Surprises:
    """How much more surprising each response is than samples are."""
    found = np.zeros((len(sequences), 2))
    for members in by_length([len(one) for one in sequences], _TOKENS):
        some = [sequences[at] for at in members]
        lengths = [len(one.response_ids) for one in some]
        found[members] = [part.sum(0).numpy() for part in _beyond(policy, some).split(lengths)]
    return Surprises(found[:, 0], found[:, 1])


def _beyond(policy: Policy, sequences: Sequence[TokenSequence]) -> torch.Tensor:
    """Both for every response token, sequence after sequence: [token, 2]."""
    with policy.active():
        hidden, targets = policy.before_head(right_padded(sequences, policy.pad_id))
        parts = zip(hidden.split(_POSITIONS), targets.split(_POSITIONS), strict=True)
        return torch.cat([_of_tokens(policy, some, wanted) for some, wanted in parts]).cpu()


def _of_tokens(policy: Policy, hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    nats = policy.head(hidden).float().log_softmax(-1)
    p = nats.exp()
    expected = (p * nats).sum(-1, keepdim=True)  # minus the entropy
    variance = (p * (nats - expected) ** 2).sum(-1)
    beyond = expected.squeeze(-1) - nats.gather(-1, targets[:, None]).squeeze(-1)
    return torch.stack([beyond, variance], -1).double()
