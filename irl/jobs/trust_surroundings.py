"""Answers around a reward, embedded by the data's policy: what is near, how near is usual."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from irl.evaluation.neighbours import Known, Near
from irl.evaluation.planted_detectors import EmbeddedPairs, detectors
from irl.evaluation.trust import limit_of
from irl.jobs.trust_grounds import Answered, Grounds, sampled
from irl.jobs.trust_settings import TrustSettings
from irl.policies.encoder import Encoder
from irl.policies.template import PromptText
from irl.records.trust import Detector

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
_MOST_PAIRS = 1000
"That the planted rewards of the detectors are learnt from"


@dataclass(frozen=True)
class Embedded:
    """Some of the answers of some pairs, embedded."""

    answered: Answered
    at: Codes
    "which answers"
    vectors: torch.Tensor

    @property
    def texts(self) -> list[str]:
        """Of these answers."""
        return [self.answered.texts[one] for one in self.at]

    @property
    def prompts(self) -> list[PromptText]:
        """Of these answers."""
        return [self.answered.prompts[one] for one in self.at]

    def pairs(self, seed: int) -> EmbeddedPairs:
        """The pairs that they form among themselves, at most so many."""
        place = np.full(len(self.answered), -1, dtype=np.int64)
        place[self.at] = np.arange(len(self.at))
        first, second = place[self.answered.chosen], place[self.answered.rejected]
        there = np.flatnonzero((first >= 0) & (second >= 0))
        there = there[sampled(len(there), _MOST_PAIRS, seed)]
        cluster = self.answered.cluster[self.at]
        return EmbeddedPairs(self.texts, self.vectors, cluster, first[there], second[there])


@dataclass(frozen=True)
class Surroundings:
    """Distances to what a reward was fitted to, in units of their mean for held-out answers."""

    encoder: Encoder
    fitted: Embedded
    held: Embedded
    known: Known
    k: int
    unit: float
    limit: float
    "quantile of held-out answers, in that unit"
    seed: int
    "of what is planted for the detectors"

    def distance(self, vectors: torch.Tensor) -> Array:
        """Mean distance to the k nearest fitted answers."""
        result: Array = self.known.nearest(vectors, self.k).mean / self.unit
        return result

    def held_near(self, vectors: torch.Tensor) -> Near:
        """The nearest held-out answers, as rows of `held`."""
        there = Known(self.known.standardised(self.held.vectors), *self._units)
        return there.nearest(vectors, self.k)

    @cached_property
    def detectors(self) -> list[Detector]:
        """Every detector of the triage on what is planted for it, distance first."""
        seed = self.seed
        prompts = self.held.prompts

        def embed(texts: Sequence[str], at: Codes) -> torch.Tensor:
            return self.encoder.encode([prompts[one] for one in at], texts)

        return detectors(self.fitted.pairs(seed), self.held.pairs(seed), embed, self.k, seed)

    @property
    def _units(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self.known.centre, self.known.scale


def surroundings_of(grounds: Grounds, encoder: Encoder, settings: TrustSettings) -> Surroundings:
    """Embed what the reward was fitted to and what it was not.

    Raises:
        InputError: embeddings are not finite.
    """
    fitted, held = (
        _embedded(answered, encoder, settings) for answered in (grounds.fitted, grounds.held)
    )
    known = Known.of(fitted.vectors)
    usual = known.nearest(held.vectors, settings.neighbours).mean
    unit = float(usual.mean()) or 1.0
    limit = limit_of(usual / unit)
    neighbours, seed = settings.neighbours, settings.seed
    return Surroundings(encoder, fitted, held, known, neighbours, unit, limit, seed)


def _embedded(answered: Answered, encoder: Encoder, settings: TrustSettings) -> Embedded:
    at = sampled(len(answered), settings.most_answers, settings.seed)
    texts = [answered.texts[one] for one in at]
    return Embedded(answered, at, encoder.encode([answered.prompts[one] for one in at], texts))
