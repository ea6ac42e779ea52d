"""How likely edited answers are under the reference: what says how much they are evidence of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from explain.targets import Exchange
from irl.config import Chat, Sampling
from irl.engine.scoring import score_policy
from irl.policies.pair import PolicyPair
from irl.policies.template import encode_answers
from irl.tensors import TokenSequence

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Likelihood:
    """Of some answers under the reference; arrays of one entry an answer."""

    mean: Array
    "nats per token, the token that ends the answer included"
    least: Array
    "nats of its least likely token: one odd word does not hide in a long answer"

    def rows(self, start: int, end: int) -> "Likelihood":
        """Of some of them."""
        return Likelihood(self.mean[start:end], self.least[start:end])


Judge = Callable[[Sequence[Exchange]], Likelihood]


def reference_nats(pair: PolicyPair, sampling: Sampling, chat: Chat) -> Judge:
    """How likely answers are under the reference of a pair."""

    def judge(exchanges: Sequence[Exchange]) -> Likelihood:
        sequences = _encoded(pair, exchanges, chat)
        rows = [row.double().numpy() for row in score_policy(pair.reference, sequences, sampling)]
        return Likelihood(
            np.array([row.mean() if len(row) else 0.0 for row in rows]),
            np.array([row.min(initial=0.0) for row in rows]),
        )

    return judge


def fitting(pair: PolicyPair, chat: Chat) -> Callable[[Exchange], bool]:
    """Whether an exchange is short enough for both policies."""

    def fits(exchange: Exchange) -> bool:
        (row,) = _encoded(pair, [exchange], chat)
        return len(row) <= pair.context_tokens

    return fits


def _encoded(pair: PolicyPair, exchanges: Sequence[Exchange], chat: Chat) -> list[TokenSequence]:
    prompts, texts = [one.prompt for one in exchanges], [one.response for one in exchanges]
    return encode_answers(pair.tokenizer, prompts, texts, pair.eos_ids, chat)
