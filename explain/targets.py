"""Scalars of (prompt, response) that can be explained. A new one is a function.

A target takes exchanges and gives one number for each. Every number means something only beside
others of the same prompt: a log-ratio is reward / beta plus an unknown constant of the prompt.
Explanations compare changed exchanges with unchanged ones, so a constant of the prompt cancels as
long as the prompt is not what is changed.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from explain.exchange import Exchange as Exchange
from irl.config import Chat, Sampling
from irl.engine.scoring import score_policy
from irl.errors import InputError
from irl.policies.pair import PolicyPair
from irl.policies.reward_model import Scorer
from irl.policies.template import encode_answers
from irl.rewards.conditions import TypedPrompt
from irl.rewards.head_reward import HeadReward
from irl.rewards.stored import Reward
from irl.rewards.terms import TermReward
from irl.tensors import TokenSequence

Values = Float[Tensor, " exchange"]
Target = Callable[[Sequence[Exchange]], Values]


def log_ratio(pair: PolicyPair, sampling: Sampling | None = None, chat: Chat = "auto") -> Target:
    """The log-ratio summed over the response, log pi_aligned(y|x) - log pi_reference(y|x), nats.

    Raises:
        InputError: (when called) an exchange cannot be read or is too long for the policies.
    """
    sampling = sampling or Sampling()

    def target(exchanges: Sequence[Exchange]) -> Values:
        sequences = encode_exchanges(pair, exchanges, chat)
        ours, theirs = (
            score_policy(policy, sequences, sampling) for policy in (pair.aligned, pair.reference)
        )
        sums = [(a.double() - r.double()).sum() for a, r in zip(ours, theirs, strict=True)]
        return torch.stack(sums) if sums else torch.zeros(0, dtype=torch.float64)

    return target


def reward(recovered: Reward) -> Target:
    """A recovered reward, nats."""

    def target(exchanges: Sequence[Exchange]) -> Values:
        texts = [one.response for one in exchanges]
        if isinstance(recovered, TermReward):
            asked = [TypedPrompt.of(one.prompt, one.prompt_type) for one in exchanges]
            return recovered(texts, asked).double()
        return recovered(texts, [one.prompt for one in exchanges]).double()

    return target


def scored(model: Scorer, chat: Chat = "auto") -> Target:
    """The score of a stored reward model, in its own units."""

    @torch.inference_mode()
    def target(exchanges: Sequence[Exchange]) -> Values:
        rows = model.ids([one.prompt for one in exchanges], [e.response for e in exchanges], chat)
        device = next(model.parameters()).device
        scores = [
            model(
                torch.tensor([row], device=device),
                torch.ones(1, len(row), dtype=torch.bool, device=device),
            ).cpu()
            for row in rows
        ]
        return torch.cat(scores).double() if scores else torch.zeros(0, dtype=torch.float64)

    return target


def margin(target: Target, rejected: str) -> Target:
    """How much better a response is than one rejected answer to the same prompt.

    What the prompt alone adds cancels, so margins of different prompts can be compared.
    """

    def difference(exchanges: Sequence[Exchange]) -> Values:
        against = [replace(one, response=rejected) for one in exchanges]
        return target(exchanges) - target(against)

    return difference


def remembered(target: Target) -> Target:
    """The same target, asked once for each exchange: measures of attributions repeat themselves."""
    known: dict[tuple[str, str], float] = {}

    def target_or_memory(exchanges: Sequence[Exchange]) -> Values:
        keys = [(str(one.prompt), one.response) for one in exchanges]
        new = {key: one for key, one in zip(keys, exchanges, strict=True) if key not in known}
        if new:
            known.update(zip(new, target(list(new.values())).tolist(), strict=True))
        return torch.tensor([known[key] for key in keys], dtype=torch.float64)

    return target_or_memory


def disagreement(ensemble: HeadReward) -> Target:
    """The standard deviation of the members of a reward, in its units.

    Raises:
        InputError: it has one member only.
    """
    if ensemble.head.members < 2:
        raise InputError("A reward of one member has no disagreement; fit several seeds.")

    def target(exchanges: Sequence[Exchange]) -> Values:
        prompts = [one.prompt for one in exchanges]
        members = ensemble.members([one.response for one in exchanges], prompts)
        return members.double().std(0)

    return target


def encode_exchanges(
    pair: PolicyPair, exchanges: Sequence[Exchange], chat: Chat
) -> list[TokenSequence]:
    """Exchanges as the policies read them.

    Raises:
        InputError: one cannot be read or is too long.
    """
    prompts, texts = [e.prompt for e in exchanges], [e.response for e in exchanges]
    sequences = encode_answers(pair.tokenizer, prompts, texts, pair.eos_ids, chat)
    longest = max(map(len, sequences), default=0)
    if longest > pair.context_tokens:
        raise InputError(
            f"A prompt with its response is {longest} tokens long, but the policies read "
            f"{pair.context_tokens}; shorten it."
        )
    return sequences
