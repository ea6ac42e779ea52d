"""Features of responses that a reward head reads: embeddings, standardised, cached by content."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from irl.config import Loading
from irl.errors import InputError
from irl.policies.encoder import Encoder, load_encoder
from irl.policies.template import PromptText

Vector = Float[Tensor, " feature"]


@dataclass(frozen=True)
class Embeddings:
    """(embedding - centre) / scale of each answer; see `irl.policies.encoder`."""

    encoder: Encoder
    centre: Vector | None = None
    scale: Vector | None = None
    "None: as the encoder gives them"
    cache: Path | None = None
    "folder of finished embeddings; None keeps none"

    def __call__(
        self, texts: Sequence[str], prompts: Sequence[PromptText] | None = None
    ) -> Float[Tensor, "text feature"]:
        """Embeddings of all texts.

        Raises:
            InputError: the encoder reads prompts and none were given.
        """
        if prompts is None and self.encoder.reads_prompts:
            raise InputError(
                "This reward reads an answer after its prompt; give the prompt of every text "
                'beside the text ("" where there is none).'
            )
        raw = self._raw(texts, [""] * len(texts) if prompts is None else prompts)
        if self.centre is None or self.scale is None:
            return raw
        return (raw - self.centre) / self.scale

    def __str__(self) -> str:
        kind = "mean hidden states of" if self.encoder.reads_prompts else "embeddings by"
        return f"{kind} {self.encoder.source}"

    def standardised(
        self, texts: Sequence[str], prompts: Sequence[PromptText] | None
    ) -> "Embeddings":
        """In units of their spread over these texts; a direction that never varies stays as is."""
        raw = self(texts, prompts)
        spread = raw.std(0)
        return replace(self, centre=raw.mean(0), scale=torch.where(spread > 0, spread, 1.0))

    def save(self, folder: Path, name: str) -> dict[str, Any]:
        """Write name.features.safetensors; the encoder stays where it is, and is named."""
        assert self.centre is not None
        assert self.scale is not None
        tensors = {"centre": self.centre, "scale": self.scale}
        save_file(tensors, folder / f"{name}.features.safetensors")
        encoder = self.encoder
        return {
            "features": "embeddings",
            "encoder": encoder.source,
            "sha256": encoder.sha256,
            "chat": encoder.chat,
            "dtype": encoder.dtype,
        }

    @classmethod
    def load(cls, folder: Path, name: str, document: dict[str, Any]) -> "Embeddings":
        """What `save` stored, to the last bit; the encoder must not have changed since.

        Raises:
            InputError: it has.
            PolicyError: it is not there any more.
        """
        encoder = load_encoder(
            document["encoder"], Loading(dtype=document["dtype"]), document["chat"]
        )
        if encoder.sha256 != document["sha256"]:
            raise InputError(
                f"The reward in {folder} reads embeddings by {encoder.source}, which has changed "
                "since the reward was fitted."
            )
        tensors = load_file(folder / f"{name}.features.safetensors")
        return cls(encoder, tensors["centre"], tensors["scale"])

    def _raw(
        self, texts: Sequence[str], prompts: Sequence[PromptText]
    ) -> Float[Tensor, "text feature"]:
        if self.cache is None:
            return self.encoder.encode(prompts, texts)
        read = list(prompts) if self.encoder.reads_prompts else []
        by = self.encoder
        said = json.dumps([by.sha256, by.chat, by.dtype, read, list(texts)])
        file = self.cache / f"{hashlib.sha256(said.encode()).hexdigest()}.safetensors"
        try:
            return load_file(file)["embeddings"]
        except (OSError, KeyError, SafetensorError):  # not there, or cut off while it was written
            found = self.encoder.encode(prompts, texts)
        self.cache.mkdir(parents=True, exist_ok=True)
        begun = file.with_suffix(".part")
        save_file({"embeddings": found.contiguous()}, begun)
        begun.replace(file)
        return found
