"""A recovered reward as a head on features: several members, one of them chosen."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from torch import Tensor

from irl.errors import InputError, IrlError
from irl.policies.template import PromptText
from irl.rewards.boosted import Boosted
from irl.rewards.embeddings import Embeddings
from irl.rewards.features import WordCounts
from irl.rewards.heads import Head, Layers, Scores
from irl.rewards.transformer import TokenIds, Transformer

Reader = WordCounts | Embeddings | TokenIds
"What a head reads of a text: (texts, prompts) to features"


@dataclass(frozen=True)
class HeadReward:
    """Callable on texts. Identified up to a constant of each prompt, as every recovered reward."""

    features: Reader
    head: Head | Boosted
    chosen: int = 0
    "the member that speaks for all; see `irl.recovery.consensus`"

    @torch.inference_mode()
    def members(self, texts: Sequence[str], prompts: Sequence[PromptText] | None = None) -> Scores:
        """The rewards of every member, [member, text].

        Args:
            texts: the answers.
            prompts: the prompt of each; counts of words and sentence encoders need none.

        Raises:
            InputError: the reward reads prompts and none were given.
        """
        if not texts:
            return torch.zeros(self.head.members, 0)
        scores: Tensor = self.head(self.features(texts, prompts))
        return scores

    def __call__(
        self, texts: Sequence[str], prompts: Sequence[PromptText] | None = None
    ) -> Float[Tensor, " text"]:
        """The rewards of the chosen member, nats."""
        return self.members(texts, prompts)[self.chosen]

    def save(self, folder: Path, name: str, **about: object) -> None:
        """Write name.json (what it reads and is, whatever `about` says) and the weights."""
        folder.mkdir(parents=True, exist_ok=True)
        document = {
            "kind": "head",
            "chosen": self.chosen,
            **about,
            **self.head.save(folder, name),
            **self.features.save(folder, name),
        }
        text = json.dumps(document, ensure_ascii=False, indent=1)
        (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, name: str) -> "HeadReward":
        """Read what `save` wrote, to the last bit.

        Raises:
            InputError: it is not there, or no reward of this kind.
            PolicyError: a model that it needs is not there any more.
        """
        try:
            document = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
            if document["kind"] != "head":
                raise InputError(f"{folder / name}.json holds a reward of kind {document['kind']}.")
            return cls(*_stored(folder, name, document), document["chosen"])
        except IrlError:
            raise
        except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
            raise InputError(
                f"There is no reward head that can be read at {folder / name}.json ({error})."
            ) from None


def _stored(folder: Path, name: str, document: dict[str, Any]) -> tuple[Reader, Head | Boosted]:
    if document["head"] == "transformer":
        whole = Transformer.load(folder, name, document)
        return TokenIds(whole.scorer, document["chat"]), whole
    kind = Boosted if document["head"] == "boosted" else Layers
    layers = kind.load(folder, name, document)
    if document["features"] == "embeddings":
        return Embeddings.load(folder, name, document), layers
    return WordCounts.load(folder, name, document), layers
