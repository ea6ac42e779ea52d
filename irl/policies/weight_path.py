"""Policies on the line through the weights of two checkpoints: model extrapolation, ExPO.

    theta(alpha) = reference + (1 + alpha) (aligned - reference)            (2404.16792, eq. 2)

alpha -1 is the reference, 0 the aligned policy, above 0 lies beyond it. A line in a random
direction through the aligned policy, as long in every tensor, is the control:

    theta(alpha) = aligned + alpha |aligned - reference| z / |z|

One model is in memory; the weights of both checkpoints lie on disk and are read tensor by tensor,
in float32. Tied weights are moved once, buffers not at all.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from irl.config import Loading
from irl.errors import PolicyError
from irl.policies.checkpoint import locate
from irl.policies.load import load_full
from irl.policies.path import ScoringPath
from irl.policies.policy import Policy

_ALIGNED, _REFERENCE = "aligned.safetensors", "reference.safetensors"


class WeightPath:
    """A model that stands wherever on the line it is asked to be."""

    def __init__(self, aligned: str, reference: str, scratch: Path) -> None:
        """Read both checkpoints, one after the other.

        Args:
            aligned: directory or hub id of a full model.
            reference: the same; of the same shape.
            scratch: an empty folder for both models' weights.

        Raises:
            PolicyError: one of them cannot be loaded, is an adapter, or has other weights.
        """
        for source in (aligned, reference):
            if locate(source).adapter is not None:
                raise PolicyError(f"{source} is an adapter; merge it into a full checkpoint first.")
        there = load_full(locate(reference), Loading())
        shapes = _stored(there, scratch / _REFERENCE)
        del there
        self.policy = load_full(locate(aligned), Loading())
        if _stored(self.policy, scratch / _ALIGNED) != shapes:
            raise PolicyError(f"{aligned} and {reference} have weights of other names or shapes.")
        self.scratch = scratch
        self._at: tuple[float, int | None] = (0.0, None)

    def at(self, alpha: float, random: int | None = None) -> Policy:
        """The policy at alpha; the model is moved there whenever this policy is used.

        Args:
            alpha: where.
            random: seed of a random direction instead of the line's own.
        """
        policy: Policy = replace(
            self.policy, active=lambda: self._standing(alpha, random), path=ScoringPath()
        )
        return policy

    @contextmanager
    def _standing(self, alpha: float, random: int | None) -> Iterator[None]:
        if self._at != (alpha, random):
            self._move(alpha, random)
            self._at = (alpha, random)
        yield

    @torch.no_grad()
    def _move(self, alpha: float, random: int | None) -> None:
        files = [self.scratch / _ALIGNED, self.scratch / _REFERENCE]
        with safe_open(files[0], "pt") as aligned, safe_open(files[1], "pt") as reference:
            for name, weight in self.policy.model.named_parameters():
                to, start = aligned.get_tensor(name), reference.get_tensor(name)
                if random is None:
                    weight.copy_(start + (1 + alpha) * (to - start))
                else:
                    weight.copy_(to + alpha * _as_long(to - start, random, name))


def _stored(policy: Policy, file: Path) -> dict[str, tuple[int, ...]]:
    weights = {name: one.detach() for name, one in policy.model.named_parameters()}
    save_file({name: one.contiguous() for name, one in weights.items()}, file)
    return {name: tuple(one.shape) for name, one in weights.items()}


def _as_long(direction: Tensor, seed: int, name: str) -> Tensor:
    """A random direction of the same norm; each tensor has its own random numbers."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
    drawn = torch.randn(direction.shape, generator=generator)
    scaled: Tensor = drawn * (direction.norm() / drawn.norm())
    return scaled
