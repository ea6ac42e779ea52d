"""Preferences by a judge: a chat model that is asked which answer is better, or a reward function.

A model sees both answers in both orders and is read at the next token, without sampling:

    p(order) = P("A") / (P("A") + P("B"))       p = (p(as given) + 1 - p(swapped)) / 2

A judge that likes the first answer whatever it says has p(as given) + p(swapped) > 1; half of the
excess is its position bias, which cancels in p (2306.05685 swaps positions; constitutional AI,
2212.08073, averages them). A reward function has no position: p = sigmoid(r_1 - r_2).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irl.config import Chat
from irl.errors import InputError
from irl.policies.policy import Policy
from irl.policies.template import PromptText, encode_prompt
from irl.tensors import TokenSequence

Array = NDArray[np.float64]
Read = Callable[[Sequence[str], Sequence[PromptText]], Array]
"(texts, prompts) to rewards"
ANSWERS = ("A", "B")
QUESTION = (
    "Which of two answers to a message is better?\n\nMessage:\n{prompt}\n\nAnswer A:\n{first}\n\n"
    "Answer B:\n{second}\n\nReply with A or B alone."
)
_BATCH = 16


@dataclass(frozen=True)
class Judged:
    """What a judge says of pairs: P(first better) as they were given, and swapped."""

    given: Array
    swapped: Array
    "P(the answer that now stands first is better)"

    def at(self, which: NDArray[np.bool_]) -> "Judged":
        """What is said of some of the pairs."""
        return Judged(self.given[which], self.swapped[which])

    @property
    def probability(self) -> Array:
        """Of the first answer, both orders averaged."""
        result: Array = (self.given + 1 - self.swapped) / 2
        return result

    @property
    def position_bias(self) -> Array:
        """How much standing first adds to the probability; 0 for a fair judge."""
        result: Array = (self.given + self.swapped - 1) / 2
        return result

    @property
    def consistent(self) -> NDArray[np.bool_]:
        """Whether both orders name the same answer."""
        result: NDArray[np.bool_] = (self.given > 0.5) == (self.swapped < 0.5)
        return result


def by_reward(
    reward: Read, prompts: Sequence[PromptText], first: Sequence[str], second: Sequence[str]
) -> Judged:
    """A reward function as the judge."""
    margins = reward(first, prompts) - reward(second, prompts)
    p = 1 / (1 + np.exp(-np.clip(margins, -500, 500)))
    return Judged(p, 1 - p)


def by_model(
    policy: Policy,
    prompts: Sequence[PromptText],
    first: Sequence[str],
    second: Sequence[str],
    chat: Chat = "auto",
) -> Judged:
    """A chat model as the judge, both orders asked; NaN where a question is too long for it.

    Raises:
        InputError: the model's template refuses the question, or it cannot tell A from B.
    """
    given = [_question(*row) for row in zip(prompts, first, second, strict=True)]
    swapped = [_question(*row) for row in zip(prompts, second, first, strict=True)]
    said = _first_better(policy, given + swapped, chat)
    return Judged(said[: len(given)], said[len(given) :])


def _question(prompt: PromptText, first: str, second: str) -> str:
    said = (
        prompt
        if isinstance(prompt, str)
        else "\n".join(f"{message['role']}: {message['content']}" for message in prompt)
    )
    # One replacement each, so that braces in untrusted text stay what they are.
    text = QUESTION.replace("{first}", "\0").replace("{second}", "\1")
    return text.replace("{prompt}", said).replace("\0", first).replace("\1", second)


def _first_better(policy: Policy, questions: Sequence[str], chat: Chat) -> Array:
    sequences = [
        _reply(policy, question, answer, chat) for question in questions for answer in ANSWERS
    ]
    if sequences[0].response_ids == sequences[1].response_ids:
        raise InputError(
            f"{policy.checkpoint.source} reads the answers A and B as the same token, so it cannot "
            "judge; give another model."
        )
    fitting = [at for at, one in enumerate(sequences) if len(one) <= policy.context_tokens]
    nats = np.full(len(sequences), np.nan)
    for start in range(0, len(fitting), _BATCH):
        here = fitting[start : start + _BATCH]
        found = policy.nats([sequences[at] for at in here])
        nats[here] = [float(one.double().sum()) for one in found]
    first, second = nats.reshape(-1, 2).T
    result: Array = 1 / (1 + np.exp(np.clip(second - first, -500, 500)))
    return result


def _reply(policy: Policy, question: str, answer: str, chat: Chat) -> TokenSequence:
    templated = chat != "never" and bool(policy.tokenizer.chat_template)
    prompt: PromptText = (
        [{"role": "user", "content": question}] if templated else f"{question}\n\nAnswer:"
    )
    text = answer if templated else f" {answer}"
    ids = tuple(policy.tokenizer(text, add_special_tokens=False)["input_ids"])
    return TokenSequence(encode_prompt(policy.tokenizer, prompt), ids)
