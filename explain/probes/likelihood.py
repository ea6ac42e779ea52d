"""How likely edited answers are under the reference: what says how much they are evidence of."""

from collections.abc import Callable, Sequence

import torch

from explain.targets import Exchange, Target, Values
from irl.config import Chat, Sampling
from irl.engine.local import score_policy
from irl.policies.pair import PolicyPair
from irl.policies.template import encode_answers
from irl.tensors import TokenSequence


def reference_nats(pair: PolicyPair, sampling: Sampling, chat: Chat) -> Target:
    """Mean nats per token of an answer under the reference, the token that ends it included."""

    def target(exchanges: Sequence[Exchange]) -> Values:
        rows = score_policy(pair.reference, _encoded(pair, exchanges, chat), sampling)
        means = [row.double().mean() if len(row) else torch.tensor(0.0).double() for row in rows]
        return torch.stack(means) if means else torch.zeros(0, dtype=torch.float64)

    return target


def fitting(pair: PolicyPair, chat: Chat) -> Callable[[Exchange], bool]:
    """Whether an exchange is short enough for both policies."""

    def fits(exchange: Exchange) -> bool:
        (row,) = _encoded(pair, [exchange], chat)
        return len(row) <= pair.context_tokens

    return fits


def _encoded(pair: PolicyPair, exchanges: Sequence[Exchange], chat: Chat) -> list[TokenSequence]:
    prompts, texts = [one.prompt for one in exchanges], [one.response for one in exchanges]
    return encode_answers(pair.tokenizer, prompts, texts, pair.eos_ids, chat)
