"""What a few features explain on prompts they were neither chosen nor fitted on.

With y the returns centred within prompts, and for each fold the weights fitted on the other folds,

    share = (sum (y - without)^2 - sum (y - full)^2) / sum y^2

where `without` is predicted by the features beside the candidate alone (never counted as worse than
no prediction) and `full` with the candidate's. The candidate moves sd(x_c w_c) nats. Both are
invariant under y -> y + c(prompt).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from irl.bootstrap import from_sums
from irl.config import Fitting
from irl.evaluation.fit import explained_sd_nats
from irl.evaluation.sign_flips import FoldSums
from irl.records import Estimate
from irl.recovery.catalogue import Catalogue
from irl.recovery.least_squares import RIDGE, Design
from irl.within import centred

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]
LENGTH = np.zeros(1, dtype=np.int64)
"The column of the number of words"
NOTHING = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Evidence:
    """Returns of responses and the features that may explain them."""

    catalogue: Catalogue
    y: Array
    "summed log-ratio of each response, centred within its prompt, nats"
    fold: Codes
    n_folds: int
    fitting: Fitting

    @classmethod
    def of(
        cls, texts: Sequence[str], returns: Array, prompt: Codes, fold: Codes, fitting: Fitting
    ) -> "Evidence":
        """Summed log-ratios of responses, nats; folds are numbered anew, so that all are used."""
        fold = np.unique(fold, return_inverse=True)[1]
        catalogue, y = Catalogue.of(texts, prompt, fitting), centred(returns, prompt)
        return cls(catalogue, y, fold, int(fold.max()) + 1, fitting)

    @property
    def design(self) -> Design:
        """The features, [response, column]."""
        return self.catalogue.design

    @property
    def prompt(self) -> Codes:
        """The prompt number of each response."""
        return self.design.group

    @cached_property
    def folds(self) -> list[Mask]:
        """The responses of each fold; no folds where one holds all: nothing can be held out."""
        parts = [self.fold == number for number in range(self.n_folds)]
        return [] if any(part.all() for part in parts) else parts

    def rows(self, chosen: Mask) -> "Evidence":
        """Some of the responses, in whole prompts."""
        part = self.catalogue.rows(chosen)
        return replace(self, catalogue=part, y=self.y[chosen], fold=self.fold[chosen])


@dataclass(frozen=True)
class HeldOut:
    """Out-of-fold predictions of every response, centred within prompts, nats."""

    y: Array
    prompt: Codes
    without: Array
    full: Array
    paid: Array
    "the part of the candidate's features with positive weights"
    charged: Array
    "the part of those with negative weights"
    flips: tuple[FoldSums, ...]
    weights: tuple[Array, ...]
    "of the candidate's features, fold by fold"

    @property
    def own(self) -> Array:
        """What the candidate itself contributes."""
        return self.paid + self.charged

    @cached_property
    def gains(self) -> Array:
        """How much less of y is left unexplained, squared nats, [response]."""
        result: Array = (self.y - self.without) ** 2 - (self.y - self.full) ** 2
        return result

    def share(self, seed: int) -> Estimate | None:
        """The share of the within-prompt variance that the candidate adds."""
        errors = [(self.y - self.without) ** 2, (self.y - self.full) ** 2, self.y**2]
        return from_sums(np.stack(errors, axis=1), self.prompt, _share, seed=seed)

    def sd_nats(self, seed: int) -> Estimate | None:
        """How far the candidate moves the responses of a prompt."""
        return explained_sd_nats(self.own, self.prompt, seed)


def hold_out(
    evidence: Evidence,
    beside: Sequence[Codes],
    chosen: Sequence[Codes],
    offsets: Sequence[Array] | None = None,
) -> HeldOut:
    """Fit the chosen columns beside others on the other folds and predict each fold.

    Args:
        evidence: the responses.
        beside: columns that the candidate is judged beyond, one entry per fold.
        chosen: the candidate's columns, one entry per fold.
        offsets: what is known of y before, for each fold by a model that has not seen it.
    """
    n = len(evidence.y)
    without, full, paid, charged = np.zeros((4, n))
    flips, weights = [], []
    for at, inside in enumerate(evidence.folds):
        offset = np.zeros(n) if offsets is None else offsets[at]
        rest = evidence.y - offset
        base, own = dense(evidence.design, beside[at]), dense(evidence.design, chosen[at])
        both = np.concatenate([base, own], axis=1)
        solved = fitted(both[~inside], rest[~inside])
        mine = solved[base.shape[1] :]
        alone = base[inside] @ fitted(base[~inside], rest[~inside])
        without[inside] = offset[inside] + alone
        full[inside] = offset[inside] + both[inside] @ solved
        paid[inside] = own[inside] @ mine.clip(min=0)
        charged[inside] = own[inside] @ mine.clip(max=0)
        weights.append(mine)
        left = own - base @ fitted(base, own), rest - base @ fitted(base, rest)
        flips.append(FoldSums.of(*left, evidence.prompt, inside))
    return HeldOut(
        evidence.y, evidence.prompt, without, full, paid, charged, tuple(flips), tuple(weights)
    )


def dense(design: Design, columns: Codes) -> Array:
    """A few columns, centred within prompts."""
    values = np.asarray(design.features[:, columns].todense(), dtype=np.float64)
    sizes = np.bincount(design.group).astype(np.float64)
    means = np.asarray(design.indicator @ values, dtype=np.float64) / sizes[:, None]
    result: Array = values - means[design.group]
    return result


def fitted(features: Array, returns: Array) -> Array:
    """Least-squares weights."""
    gram = features.T @ features + RIDGE * np.eye(features.shape[1])
    return np.asarray(np.linalg.solve(gram, features.T @ returns), dtype=np.float64)


def _share(sums: Array) -> Array:
    without, full, total = np.moveaxis(sums, -1, 0)
    share: Array = (np.minimum(without, total) - full) / total
    return share
