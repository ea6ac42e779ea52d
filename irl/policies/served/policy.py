"""A policy that is asked by requests; what needs its weights is refused in words."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from threading import Event
from typing import NoReturn, TypeVar

import torch
from transformers import (
    GenerationConfig,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from irl.errors import PolicyError, ServerError
from irl.policies.path import ScoringPath
from irl.policies.policy import Policy
from irl.policies.served.client import Client, side_by_side
from irl.policies.served.protocol import Ids, draw_request, drawn, score_request, scores
from irl.records import Caveat, Checkpoint, ParityRecord
from irl.tensors import Nats, TokenSequence

_COMPLETIONS = "/completions"
_SEEDS = 2**63 - 1
_REASON = 600
"Characters of why an answer cannot be used, which may quote it"
Read = TypeVar("Read")


@dataclass(frozen=True)
class Reader:
    """What reads text for a served policy: all of a checkpoint but its weights."""

    tokenizer: PreTrainedTokenizerBase
    config: PretrainedConfig
    generation: GenerationConfig
    sha256: str
    "of the files that these were read from"


@dataclass
class ServedPath(ScoringPath):
    """How a served policy was scored."""

    client: Client | None = None

    def facts(self) -> dict[str, object]:
        """For the log of a run: requests so far, and what was tried again."""
        counts = dict(self.client.counts) if self.client else {}
        return {"path": "served", **counts}


class ServedPolicy(Policy):
    """A policy whose weights lie with a server: it scores and answers, and shows nothing else."""

    def __init__(
        self,
        client: Client,
        reader: Reader,
        checkpoint: Checkpoint,
        parity: ParityRecord | None,
        served_tokens: int | None,
    ) -> None:
        """Keep them.

        Args:
            client: asks the server.
            reader: tokenizer and configurations.
            checkpoint: what a report says of it.
            parity: how well it agreed with the same checkpoint scored here; None if unchecked.
            served_tokens: the longest prompt and answer that the server takes, if it tells.
        """
        kept = {
            "client": client,
            "reader": reader,
            "checkpoint": checkpoint,
            "parity": parity,
            "served_tokens": served_tokens,
            "tokenizer": reader.tokenizer,
            "path": ServedPath(client=client),
        }
        self.__dict__.update(kept)  # the class is frozen, and has no model to hand to the base

    client: Client
    reader: Reader
    parity: ParityRecord | None
    served_tokens: int | None

    @property
    def model(self) -> PreTrainedModel:
        """There is none.

        Raises:
            PolicyError: always.
        """
        self._refuse()

    @property
    def device(self) -> torch.device:
        """There is none either."""
        self._refuse()

    @property
    def config(self) -> PretrainedConfig:
        """The model's shape, as its reader has it."""
        return self.reader.config

    @property
    def generation(self) -> GenerationConfig:
        """How the checkpoint is meant to answer, as its reader has it."""
        return self.reader.generation

    @cached_property
    def context_tokens(self) -> int:
        """The longest sequence that positions and server allow; a score draws one token beside."""
        own = self._positions
        return own if self.served_tokens is None else min(own, self.served_tokens - 1)

    def nats(self, sequences: Sequence[TokenSequence]) -> list[Nats]:
        """Nats per response token, in the order given; several requests at once.

        Raises:
            ServerError: the server does not answer, or not what it was asked.
        """
        lengths = [len(one) for one in sequences]
        size = self.client.served.sequences_per_request
        found: list[Nats] = [torch.empty(0)] * len(sequences)
        wanted = [at for at, one in enumerate(sequences) if one.response_ids]
        ordered = sorted(wanted, key=lambda at: -lengths[at])  # alike in length: short waits
        parts = [ordered[start : start + size] for start in range(0, len(ordered), size)]

        def ask(part: list[int], stopped: Event) -> list[Nats]:
            asked = [sequences[at] for at in part]
            body = score_request(self.client.served.model, asked)
            said = self.client.post(_COMPLETIONS, body, stopped)
            return self._believed(lambda: scores(asked, said))

        for part, nats in zip(parts, side_by_side(ask, parts, self._at_once), strict=True):
            for at, row in zip(part, nats, strict=True):
                found[at] = row
        return found

    def answers(
        self,
        prompts: Sequence[Ids],
        generator: torch.Generator,
        *,
        max_new_tokens: int,
        temperature: float,
        eos_ids: frozenset[int],
    ) -> list[Ids]:
        """One answer per prompt, in the order given, each drawn by a seed of its own.

        Raises:
            ServerError: the server does not answer, or gives no ids.
        """
        seeds = torch.randint(_SEEDS, (len(prompts),), generator=generator).tolist()
        ends, model = sorted(eos_ids), self.client.served.model
        pieces = self._pieces

        def ask(at: int, stopped: Event) -> Ids:
            body = draw_request(model, prompts[at], seeds[at], ends, max_new_tokens, temperature)
            said = self.client.post(_COMPLETIONS, body, stopped)
            return self._believed(lambda: drawn(prompts[at], eos_ids, max_new_tokens, pieces, said))

        return side_by_side(ask, range(len(prompts)), self._at_once)

    @property
    def _pieces(self) -> int:
        """Ids that the model can draw; some have more rows than their tokenizer has pieces."""
        config = self.config.get_text_config()
        return max(int(getattr(config, "vocab_size", None) or 0), len(self.tokenizer))

    @property
    def _at_once(self) -> int:
        return self.client.served.in_flight

    def _believed(self, read: Callable[[], Read]) -> Read:
        try:
            return read()
        except ServerError as error:
            said = self.client.plain(str(error), _REASON)
            raise ServerError(
                f"What the server {self.client.served.url} says of {self.client.served.model} "
                f"cannot be used: {said}."
            ) from None

    def _refuse(self) -> NoReturn:
        raise PolicyError(
            f"{self.checkpoint.source} is served, so its weights and hidden states are not at "
            "hand, and this needs them; give the checkpoint itself: a directory or hub id."
        )


def served_caveats(*policies: Policy | None) -> list[Caveat]:
    """What the reader of a report must know of each side that was served."""
    return [_caveat(policy) for policy in policies if isinstance(policy, ServedPolicy)]


def _caveat(policy: ServedPolicy) -> Caveat:
    source, record = policy.checkpoint.source, policy.parity
    if record is None:
        return Caveat(
            code="served-unchecked",
            text=f"{source} was scored by a server that was never held against its checkpoint "
            "(unchecked: true): which weights, precision and sampling it used is not known.",
        )
    mean = record.response_nats.mean
    return Caveat(
        code="served",
        text=f"{source} was scored by a server, not here. On {record.sequences} answers the two "
        f"differed by at most {record.token_nats.largest:.2g} nats a token (allowed: "
        f"{record.tolerance_nats:g}) and by {mean:.2g} nats a response on average: smaller "
        "log-ratios are rounding. A way of drawing that makes its tokens less than "
        f"{record.smallest_surprise_nats:.2g} nats more or less likely may have passed.",
    )
