"""Features of responses that a reward head reads: embeddings, standardised, cached by content."""

import hashlib
import json
import logging
import os
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
from irl.rewards.features import asked
from irl.runs import write_whole

Vector = Float[Tensor, " feature"]
CACHED = 2
"Counts up when the same texts come to mean other vectors"
_LOG = logging.getLogger("irl")


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
            InputError: the encoder reads prompts and none were given, or it cannot read one.
        """
        raw = self._raw(texts, prompts)
        if self.centre is None or self.scale is None:
            return raw
        return (raw - self.centre) / self.scale

    def __str__(self) -> str:
        by = self.encoder
        kind = f"{by.pooling} hidden states of" if by.reads_prompts else "embeddings by"
        return f"{kind} {by.source}"

    @property
    def reads_chats(self) -> bool:
        """Whether prompts may be messages."""
        return self.encoder.renders_chats and self.encoder.chat != "never"

    def standardised(
        self, texts: Sequence[str], prompts: Sequence[PromptText] | None
    ) -> "Embeddings":
        """In units of their spread over these texts; a direction that never varies stays as is.

        Raises:
            InputError: as for a call, or some embedding is not finite.
        """
        return self.in_units_of(self._raw(texts, prompts))

    def in_units_of(self, raw: Float[Tensor, "text feature"]) -> "Embeddings":
        """The same from embeddings that are already there.

        Raises:
            InputError: some are not finite.
        """
        if not raw.isfinite().all():
            raise InputError(f"Some {self} are not finite; load them in another dtype.")
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
            "encoder": _named(encoder.folder, folder),
            "sha256": encoder.sha256,
            "chat": encoder.chat,
            "dtype": encoder.dtype,
            "pooling": encoder.pooling,
        }

    @classmethod
    def load(cls, folder: Path, name: str, document: dict[str, Any]) -> "Embeddings":
        """What `save` stored, to the last bit; the encoder must not have changed since.

        Raises:
            InputError: it has.
            PolicyError: it is not there any more.
        """
        loading, pooling = Loading(dtype=document["dtype"]), document.get("pooling", "mean")
        named = document["encoder"]
        source = str(folder / named) if (folder / named).is_dir() else named
        encoder = load_encoder(source, loading, document["chat"], pooling)
        if encoder.sha256 != document["sha256"]:
            raise InputError(
                f"The reward in {folder} reads embeddings by {encoder.source}, which has changed "
                "since the reward was fitted."
            )
        tensors = load_file(folder / f"{name}.features.safetensors")
        return cls(encoder, tensors["centre"], tensors["scale"])

    def _raw(
        self, texts: Sequence[str], prompts: Sequence[PromptText] | None
    ) -> Float[Tensor, "text feature"]:
        by = self.encoder
        read = asked(texts, prompts) if by.reads_prompts else [""] * len(texts)
        if self.cache is None:
            return by.encode(read, texts)
        how = [
            CACHED,
            by.sha256,
            by.chat,
            by.dtype,
            *([by.pooling] if by.pooling != "mean" else []),
        ]
        said = json.dumps([*how, list(read), list(texts)])
        file = self.cache / f"{hashlib.sha256(said.encode()).hexdigest()}.safetensors"
        try:
            return load_file(file)["embeddings"]
        except (OSError, KeyError, SafetensorError):  # not there, or cut off while it was written
            found = by.encode(read, texts)
        try:
            self.cache.mkdir(parents=True, exist_ok=True)
            write_whole(file, lambda part: save_file({"embeddings": found.contiguous()}, part))
        except (OSError, SafetensorError) as error:
            _LOG.warning("Embeddings are not kept for another time (%s).", error)
        return found


def _named(encoder: Path, folder: Path) -> str:
    """Where an encoder lies, as seen from a reward; in full, unless both lie under this folder.

    What lies together is moved together: a clone of a repository, say.
    """
    here, there, reward = Path.cwd(), encoder.resolve(), folder.resolve()
    if there.is_relative_to(here) and reward.is_relative_to(here):
        return os.path.relpath(there, reward)
    return str(there)
