"""How surprising answers are, beyond what the policy expects of its own samples.

At a token x that is drawn from p, -log p(x) has the entropy of p as its mean, whatever came before.
So the sum over an answer of -log p(x) - H(p) has mean 0 for plain samples of the policy, also where
an end token or a limit stops them.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from irl.policies.policy import Policy
from irl.tensors import TokenSequence, by_length, right_padded

_TOKENS = 4096
"Padded tokens of one batch"
_POSITIONS = 64
"Positions whose whole distribution is held at once"


@torch.inference_mode()
def surprises(policy: Policy, sequences: Sequence[TokenSequence]) -> NDArray[np.float64]:
    """The sum of -log p - H over each response, nats."""
    found = np.zeros(len(sequences))
    for members in by_length([len(one) for one in sequences], _TOKENS):
        some = [sequences[at] for at in members]
        beyond = _beyond(policy, some)
        lengths = [len(one.response_ids) for one in some]
        found[members] = [float(part.sum()) for part in beyond.split(lengths)]
    return found


def _beyond(policy: Policy, sequences: Sequence[TokenSequence]) -> torch.Tensor:
    """For every response token, sequence after sequence."""
    batch = right_padded(sequences, policy.pad_id)
    with policy.active():
        output = policy.body(
            input_ids=batch.ids.to(policy.device),
            attention_mask=batch.attention.long().to(policy.device),
            use_cache=False,
        )
        hidden = output.last_hidden_state[batch.predicts_response.to(policy.device)]
        targets = batch.targets.to(policy.device)
        parts = zip(hidden.split(_POSITIONS), targets.split(_POSITIONS), strict=True)
        return torch.cat([_of_tokens(policy, some, wanted) for some, wanted in parts]).cpu()


def _of_tokens(policy: Policy, hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    nats = policy.head(hidden).float().log_softmax(-1)
    expected = (nats.exp() * nats).sum(-1)  # minus the entropy
    return (expected - nats.gather(-1, targets[:, None]).squeeze(-1)).double()
