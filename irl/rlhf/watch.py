"""A policy in training, looked at: what it gains over its reference on prompts it never sees.

Every look draws answers of the policy to the same prompts with the same random numbers, so that two
looks differ by the policy more than by chance. All is compared with the reference's answers to the
same prompt, which cancels each reward's constant of the prompt.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from irl.config import Sampling
from irl.engine.local import draw_answers
from irl.engine.scoring import response_nats
from irl.errors import InputError
from irl.policies.pieces import response_text
from irl.policies.policy import Policy
from irl.policies.sample import Ids
from irl.policies.template import PromptText, as_chat, encode_prompt
from irl.runs import write_whole
from irl.tensors import TokenSequence

Array = NDArray[np.float64]
Read = Callable[[Sequence[str], Sequence[PromptText]], Array]
"(texts, prompts) to rewards [text]; of members, [member, text]"


@dataclass(frozen=True)
class Look:
    """What was seen at one step; everything [prompt], means over the prompt's answers."""

    step: int
    proxy: Array
    "gain of what is optimised"
    members: Array
    "gain of every member, [member, prompt]"
    gold: Array | None
    kl_nats: Array
    entropy_nats: Array
    length_tokens: Array

    def save(self, file: Path) -> None:
        """Store it; a file that is there is whole."""
        columns = {
            name: torch.from_numpy(np.ascontiguousarray(value))
            for name, value in vars(self).items()
            if isinstance(value, np.ndarray)
        }
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, lambda part: save_file(columns, part))

    @classmethod
    def load(cls, step: int, file: Path) -> "Look":
        """What `save` stored."""
        columns: dict[str, Any] = {name: value.numpy() for name, value in load_file(file).items()}
        return cls(**{"gold": None, **columns, "step": step})


@dataclass(frozen=True)
class Baseline:
    """The reference's own answers to the watched prompts, to measure by."""

    length_tokens: float
    entropy_nats: float
    "of an answer, summed over its tokens"
    proxy_sd: float
    "of what is optimised, over answers to one prompt"


@dataclass(frozen=True)
class Rewards:
    """What is optimised, who speaks beside it, and what is true where that is known."""

    proxy: Read
    members: Read
    gold: Read | None = None


@dataclass(frozen=True)
class Scored:
    """Rewards of all answers to all prompts, means by prompt."""

    proxy: Array
    members: Array
    gold: Array | None
    length_tokens: Array
    proxy_sd: float
    "over answers to one prompt"


class Watch:
    """Fixed prompts with the reference's answers to them."""

    def __init__(
        self,
        reference: Policy,
        prompts: Sequence[PromptText],
        rewards: Rewards,
        sampling: Sampling,
        seed: int,
        chat: str = "auto",
    ) -> None:
        """Draw and score the reference's answers.

        Args:
            reference: what the policy starts from.
            prompts: which no training sees.
            rewards: what scores answers.
            sampling: how many answers to each prompt, and how long.
            seed: of every look's random numbers.
            chat: how prompts that are plain strings are read.
        """
        each = sampling.responses_per_prompt
        self.reference, self.rewards = reference, rewards
        self.sampling, self.seed, self.n_prompts = sampling, seed, len(prompts)
        self.asked = [prompt for prompt in prompts for _ in range(each)]
        read = [as_chat(prompt, chat) for prompt in self.asked]
        self.encoded = [encode_prompt(reference.tokenizer, prompt) for prompt in read]
        drawn = self._drawn(reference)
        self.before = self._scored(drawn)
        self.baseline = Baseline(
            length_tokens=float(self.before.length_tokens.mean()),
            entropy_nats=-float(self._nats(reference, drawn).mean()),
            proxy_sd=self.before.proxy_sd,
        )

    def look(self, policy: Policy, step: int) -> Look:
        """How far the policy has come."""
        drawn = self._drawn(policy)
        return self.seen(drawn, self._nats(policy, drawn), self._nats(self.reference, drawn), step)

    def seen(self, drawn: Sequence[Ids], ours: Array, theirs: Array, step: int) -> Look:
        """The same of answers that were drawn elsewhere.

        Args:
            drawn: one answer for each of `encoded`.
            ours: their log-probabilities under what drew them, nats.
            theirs: under the reference.
            step: what the look is called.
        """
        after, before = self._scored(drawn), self.before
        return Look(
            step=step,
            proxy=after.proxy - before.proxy,
            members=after.members - before.members,
            gold=None if after.gold is None or before.gold is None else after.gold - before.gold,
            kl_nats=self._by_prompt(ours - theirs),
            entropy_nats=self._by_prompt(-ours),
            length_tokens=after.length_tokens,
        )

    def _nats(self, policy: Policy, drawn: Sequence[Ids]) -> Array:
        sequences = [TokenSequence(p, a) for p, a in zip(self.encoded, drawn, strict=True)]
        return response_nats(policy, sequences, self.sampling)

    def _drawn(self, policy: Policy) -> list[Ids]:
        generator = torch.Generator().manual_seed(self.seed)
        eos = self.reference.eos_ids
        return draw_answers(policy, self.encoded, generator, eos, self.sampling)

    def _scored(self, drawn: Sequence[Ids]) -> Scored:
        texts = [response_text(self.reference.tokenizer, ids) for ids in drawn]
        gold, proxy = self.rewards.gold, self.rewards.proxy(texts, self.asked)
        return Scored(
            proxy=self._by_prompt(proxy),
            members=self._by_prompt(self.rewards.members(texts, self.asked)),
            gold=None if gold is None else self._by_prompt(gold(texts, self.asked)),
            length_tokens=self._by_prompt(np.array([len(ids) for ids in drawn], dtype=float)),
            proxy_sd=float(np.sqrt(proxy.reshape(self.n_prompts, -1).var(1, ddof=1).mean())),
        )

    def _by_prompt(self, values: Array) -> Array:
        if not np.isfinite(values).all():
            bad = int((~np.isfinite(values)).sum())
            raise InputError(f"{bad} scores of watched answers are NaN or infinite.")
        result: Array = values.reshape(*values.shape[:-1], self.n_prompts, -1).mean(-1)
        return result
