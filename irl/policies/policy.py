"""A policy: a causal language model that yields hidden states and a head, never probabilities."""

import inspect
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from transformers import (
    GenerationConfig,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from irl.policies.path import ScoringPath
from irl.records import Checkpoint
from irl.scoring import Head, LinearHead, token_nats
from irl.tensors import Hidden, Logits, Nats, Targets, TokenBatch, TokenSequence, right_padded


@dataclass(frozen=True, eq=False)
class Policy:
    """One side of a pair. `active` is entered around every use (an adapter on or off)."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    checkpoint: Checkpoint
    active: Callable[[], AbstractContextManager[Any]] = field(default=nullcontext)
    folder: Path | None = None
    "where a full model was read from: a hub id names no revision"
    path: ScoringPath = field(default_factory=ScoringPath)

    @property
    def body(self) -> torch.nn.Module:
        """The network below the head."""
        body: torch.nn.Module = self.model.base_model
        return body

    @property
    def device(self) -> torch.device:
        """Where inputs must lie."""
        device: torch.device = self.model.device
        return device

    @property
    def head_device(self) -> torch.device:
        """Where the head lies; another place than `device` for a model that is split."""
        weight: torch.Tensor = next(self.model.get_output_embeddings().parameters())
        return weight.device

    @cached_property
    def body_arguments(self) -> frozenset[str]:
        """What the body's forward accepts, for architectures without position ids."""
        return frozenset(inspect.signature(self.body.forward).parameters)

    @property
    def config(self) -> PretrainedConfig:
        """The model's shape."""
        config: PretrainedConfig = self.model.config
        return config

    @property
    def generation(self) -> GenerationConfig | None:
        """How the checkpoint is meant to answer, if it says so."""
        return getattr(self.model, "generation_config", None)

    @cached_property
    def eos_ids(self) -> frozenset[int]:
        """Every token that ends a response: the tokenizer's and the generation config's."""
        named = [self.tokenizer.eos_token_id]
        declared = getattr(self.generation, "eos_token_id", None)
        named += declared if isinstance(declared, list) else [declared]
        return frozenset(int(token) for token in named if token is not None)

    @property
    def pad_id(self) -> int:
        """A valid id to fill with; padded positions are masked, so its meaning is irrelevant."""
        pad = self.tokenizer.pad_token_id
        return 0 if pad is None else int(pad)

    @cached_property
    def context_tokens(self) -> int:
        """The longest sequence that the positions allow."""
        return self._positions

    @property
    def _positions(self) -> int:
        declared = getattr(self.config, "max_position_embeddings", None)
        return int(declared or self.tokenizer.model_max_length)

    def head(self, hidden: Hidden) -> Logits:
        """Logits from hidden states, with the scalings that some architectures put after it."""
        return self._scaled(self.model.get_output_embeddings()(hidden))

    @property
    def streamed_head(self) -> Head:
        """The same head, by its weights where it is a plain linear layer.

        Half-precision weights are then multiplied in float32: logits of size 10 in bfloat16 are off
        by up to 0.03 nats each.
        """
        layer = self.model.get_output_embeddings()
        if type(layer) is not torch.nn.Linear:  # an adapter's layer computes something else
            return self.head
        return LinearHead(layer.weight, layer.bias, self._scaled)

    def _scaled(self, logits: Logits) -> Logits:
        config = self.model.config
        scale = getattr(config, "logit_scale", None) or 1.0
        scale /= getattr(config, "logits_scaling", None) or 1.0
        logits = logits if scale == 1.0 else logits * scale
        cap = getattr(config, "final_logit_softcapping", None)
        return logits if cap is None else torch.tanh(logits / cap) * cap

    def before_head(self, batch: TokenBatch) -> tuple[Hidden, Targets]:
        """Every response token's hidden state before it and its id, sequence after sequence.

        Both lie where the head does. `active` must be entered.
        """
        output = self.body(
            input_ids=batch.ids.to(self.device),
            attention_mask=batch.attention.long().to(self.device),
            use_cache=False,
        )
        states = output.last_hidden_state
        hidden = states[batch.predicts_response.to(states.device)].to(self.head_device)
        return hidden, batch.targets.to(self.head_device)

    @torch.inference_mode()
    def batch_nats(self, batch: TokenBatch) -> Nats:
        """Nats of every response token of a batch, sequence after sequence, on the CPU."""
        with self.active():
            return token_nats(*self.before_head(batch), self.head).cpu()

    def nats(self, sequences: Sequence[TokenSequence]) -> list[Nats]:
        """Nats per response token of sequences that are scored as one batch."""
        flat = self.batch_nats(right_padded(sequences, self.pad_id))
        return list(flat.split([len(sequence.response_ids) for sequence in sequences]))
