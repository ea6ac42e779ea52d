"""Rewards that are boosted trees (LightGBM, an optional extra): the second learner of 2411.04991.

Stored as LightGBM's own text format, which holds numbers and no code.
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from irl.errors import InputError

Scores = Float[Tensor, "member row"]


def lightgbm() -> Any:
    """The library.

    Raises:
        InputError: it is not installed.
    """
    try:
        return import_module("lightgbm")
    except ImportError:
        raise InputError(
            "Boosted trees need LightGBM, which is not installed; pip install 'irl-audit[boosting]'"
            ", or choose --form linear or mlp."
        ) from None


class Boosted:
    """Members of trees on the same features. A constant of the reward is not identified."""

    def __init__(self, members: Sequence[str]) -> None:
        """Members as LightGBM writes them."""
        self.texts = tuple(members)
        library = lightgbm()
        self._boosters = [library.Booster(model_str=text) for text in self.texts]

    @property
    def members(self) -> int:
        """How many."""
        return len(self.texts)

    def __call__(self, features: Float[Tensor, "row feature"]) -> Scores:
        """Scores of every member."""
        given = features.numpy().astype(np.float64)
        scores = [booster.predict(given, num_threads=1) for booster in self._boosters]
        return torch.tensor(np.stack(scores), dtype=torch.float32)

    def members_at(self, at: Int[Tensor, " some"]) -> "Boosted":
        """Some of the members, in that order."""
        return Boosted([self.texts[member] for member in at.tolist()])

    def save(self, folder: Path, name: str) -> dict[str, Any]:
        """Write name-0.txt, name-1.txt ..., each a model that LightGBM loads too."""
        for member, text in enumerate(self.texts):
            (folder / f"{name}-{member}.txt").write_text(text, encoding="utf-8")
        return {"head": "boosted", "members": self.members}

    @classmethod
    def load(cls, folder: Path, name: str, document: dict[str, Any]) -> "Boosted":
        """What `save` stored."""
        files = [folder / f"{name}-{member}.txt" for member in range(document["members"])]
        return cls([file.read_text(encoding="utf-8") for file in files])
