"""Hidden states of answers at chosen layers, and how a target changes with them.

    hidden(y)   = mean of h_t over the tokens t of the answer y
    gradient(y) = sum of df/dh_t over the same tokens

so gradient . v is the derivative of f as every token's state, and with them their mean, moves along
v. Layer l is the output of the l-th block; the last one is read behind the final normalisation.

The target of a pair is the log-ratio, a function of both policies' states: they stand side by side,
the reference's gradient with its minus sign. A direction then moves both policies, each by its own
distance between texts with and without the concept; of a pair of equal policies nothing is left.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from explain.attribution.embedded import embedder_of
from explain.targets import Exchange, encode_exchanges
from irl.config import Chat
from irl.errors import InputError, PolicyError
from irl.policies.pair import PolicyPair
from irl.policies.policy import Policy
from irl.policies.reward_model import Scorer
from irl.scoring import token_nats
from irl.tensors import TokenBatch, TokenSequence, by_length, right_padded

TOKEN_BUDGET = 4096
"Padded tokens of one pass forth and back"
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class States:
    """Of exchanges at some layers."""

    values: NDArray[np.float64]
    "the target of each"
    hidden: Floats
    "[exchange, layer, width]"
    gradient: Floats
    "[exchange, layer, width]"


@dataclass(frozen=True)
class Reading:
    """Models whose states are read, and the target that is a function of them."""

    name: str
    unit: str
    layers: int
    read: Callable[[Sequence[Exchange], Sequence[int]], States]
    "of exchanges, at layers 1 to `layers`"


def read_log_ratio(
    pair: PolicyPair, chat: Chat = "auto", token_budget: int = TOKEN_BUDGET
) -> Reading:
    """The summed log-ratio of a response, as a function of both policies' states.

    Raises:
        PolicyError: the policies differ in their number of layers.
        InputError: (when read) an exchange cannot be read or is too long.
    """
    ours, theirs = of_policy(pair.aligned), of_policy(pair.reference)
    if ours.layers != theirs.layers:
        raise PolicyError(
            f"The policies have {ours.layers} and {theirs.layers} layers, so no layer of one "
            "belongs to one of the other; concepts need as many in both."
        )

    def read(exchanges: Sequence[Exchange], layers: Sequence[int]) -> States:
        sequences = encode_exchanges(pair, exchanges, chat)
        a, r = (states_of(one, sequences, layers, token_budget) for one in (ours, theirs))
        return States(
            a.values - r.values,
            np.concatenate([a.hidden, r.hidden], axis=2),
            np.concatenate([a.gradient, -r.gradient], axis=2),
        )

    return Reading("log-ratio", "nats", ours.layers, read)


def read_score(model: Scorer, chat: str = "auto", token_budget: int = TOKEN_BUDGET) -> Reading:
    """The score of a reward model as a function of its states.

    Raises:
        InputError: (when read) an exchange cannot be read or is too long.
    """
    base = model.model.base_model
    room = getattr(model.model.config, "max_position_embeddings", None) or 10**9
    source = Source(base, model.model.config.num_hidden_layers, 0, nullcontext, _last_score(model))

    def read(exchanges: Sequence[Exchange], layers: Sequence[int]) -> States:
        prompts, texts = [e.prompt for e in exchanges], [e.response for e in exchanges]
        sequences = model.sequences(prompts, texts, chat)
        if (longest := max(map(len, sequences), default=0)) > room:
            raise InputError(
                f"A prompt with its response is {longest} tokens long, but {model.source} reads "
                f"{room}; shorten it."
            )
        return states_of(source, sequences, layers, token_budget)

    return Reading(f"reward model {model.source}", "units of the reward", source.layers, read)


@dataclass(frozen=True)
class Source:
    """One model and a scalar of its last hidden states."""

    body: nn.Module
    layers: int
    pad_id: int
    active: Callable[[], AbstractContextManager[Any]]
    scalar: Callable[[Tensor, TokenBatch], Tensor]
    "(last hidden states [row, time, width], batch) -> [row]"


def of_policy(policy: Policy) -> Source:
    """A policy with the summed nats of the response."""

    def nats(last: Tensor, batch: TokenBatch) -> Tensor:
        said = batch.predicts_response.to(last.device)
        each = token_nats(last[said], batch.targets.to(last.device), policy.head)
        return each.new_zeros(len(last)).index_add(0, said.nonzero()[:, 0], each)

    layers: int = policy.model.config.num_hidden_layers
    return Source(policy.body, layers, policy.pad_id, policy.active, nats)


def _last_score(model: Scorer) -> Callable[[Tensor, TokenBatch], Tensor]:
    def score(last: Tensor, batch: TokenBatch) -> Tensor:
        ends = batch.attention.sum(1).to(last.device) - 1
        scores: Tensor = model.score(last[torch.arange(len(last), device=last.device), ends])
        return scores.squeeze(-1).float()

    return score


def states_of(
    source: Source, sequences: Sequence[TokenSequence], layers: Sequence[int], budget: int
) -> States:
    """Of all sequences, in batches under the token budget."""
    parts: list[tuple[Tensor, ...]] = [()] * len(sequences)
    for here in by_length([len(sequence) for sequence in sequences], budget):
        found = _batch_states(source, [sequences[at] for at in here], layers)
        for at, part in zip(here, zip(*found, strict=True), strict=True):
            parts[at] = part
    values, hidden, gradient = (torch.stack(one).numpy() for one in zip(*parts, strict=True))
    return States(values.astype(np.float64), hidden, gradient)


def _batch_states(
    source: Source, sequences: Sequence[TokenSequence], layers: Sequence[int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Values [row], hidden states and gradients [row, layer, width], on the CPU."""
    batch = right_padded(sequences, source.pad_id)
    device = next(source.body.parameters()).device
    with torch.enable_grad(), source.active():
        # Of embeddings that ask for it there is a gradient, whether or not the weights are frozen.
        embeddings = embedder_of(source.body)(batch.ids.to(device)).detach().requires_grad_()
        output = source.body(
            inputs_embeds=embeddings,
            attention_mask=batch.attention.long().to(device),
            use_cache=False,
            output_hidden_states=True,
        )
        values = source.scalar(output.last_hidden_state, batch)
        states = [output.hidden_states[layer] for layer in layers]
        gradients = torch.autograd.grad(values.sum(), states, allow_unused=True)
    if any(one is None for one in gradients):
        raise PolicyError("This architecture does not show the hidden states that it goes on with.")
    starts = torch.tensor([len(sequence.prompt_ids) for sequence in sequences])
    own = batch.attention & (torch.arange(batch.ids.shape[1]) >= starts[:, None])
    weights = own.to(device, torch.float32)[:, None, :]

    def summed(each: Sequence[Tensor]) -> Tensor:
        return torch.stack([(weights @ one.detach().float())[:, 0] for one in each], 1).cpu()

    means = summed(states) / own.sum(1).clamp(min=1)[:, None, None]
    return values.detach().float().cpu(), means, summed(gradients)
