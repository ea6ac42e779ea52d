"""A recovered reward as a head on features: several members, one of them chosen."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor

from irl.errors import InputError
from irl.rewards.features import WordCounts
from irl.rewards.heads import Head, Scores


@dataclass(frozen=True)
class HeadReward:
    """Callable on texts. Identified up to a constant of each prompt, as every recovered reward."""

    features: WordCounts
    head: Head
    chosen: int = 0
    "the member that speaks for all; see `irl.recovery.consensus`"

    @torch.inference_mode()
    def members(self, texts: Sequence[str]) -> Scores:
        """The rewards of every member, [member, text]."""
        scores: Tensor = self.head(self.features(texts))
        return scores

    def __call__(self, texts: Sequence[str]) -> Float[Tensor, " text"]:
        """The rewards of the chosen member, nats."""
        return self.members(texts)[self.chosen]

    def save(self, folder: Path, name: str, **about: object) -> None:
        """Write name.json (features, sizes, whatever `about` says) and name.safetensors."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {key: value.contiguous() for key, value in self.head.state_dict().items()}
        save_file(tensors, folder / f"{name}.safetensors")
        document = {
            "kind": "head",
            "sizes": self.head.sizes,
            "chosen": self.chosen,
            **about,
            **self.features.document,
        }
        text = json.dumps(document, ensure_ascii=False, indent=1)
        (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, name: str) -> "HeadReward":
        """Read what `save` wrote, to the last bit.

        Raises:
            InputError: it is not there, or no reward of this kind.
        """
        try:
            document = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
            tensors = load_file(folder / f"{name}.safetensors")
            if document["kind"] != "head":
                raise InputError(f"{folder / name}.json holds a reward of kind {document['kind']}.")
            members = len(tensors["weights.0"])
            head = Head(members, tuple(document["sizes"]), torch.Generator())
            head.load_state_dict(tensors)
        except (OSError, KeyError, json.JSONDecodeError, RuntimeError) as error:
            raise InputError(
                f"There is no reward head that can be read at {folder / name}.json ({error})."
            ) from None
        return cls(WordCounts(tuple(document["terms"])), head, document["chosen"])
