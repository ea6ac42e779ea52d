"""Means over prompts, with intervals and with p values by signs or order of whole prompts."""

import numpy as np
from numpy.typing import NDArray

from irl.bootstrap import from_sums, ratio
from irl.evaluation.sign_flips import draw_signs
from irl.records import Estimate

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
DRAWS = 9999
_ROUNDING = 1e-9


def means(values: Array, groups: Codes) -> Array:
    """The mean of each group that has values."""
    numbers, codes = np.unique(groups, return_inverse=True)
    result: Array = np.bincount(codes, values, len(numbers)) / np.bincount(
        codes, None, len(numbers)
    )
    return result


def mean_of(values: Array, seed: int) -> Estimate:
    """The mean over prompts with its interval."""
    columns = np.stack([values, np.ones_like(values)], axis=1)
    estimate = from_sums(columns, np.arange(len(values)), ratio, seed=seed)
    assert estimate is not None  # at least two prompts, and the second column is 1
    return estimate


def gap_of(values: Array, here: NDArray[np.bool_], seed: int) -> Estimate:
    """The mean where `here` minus the mean elsewhere."""
    columns = np.stack([values * here, here, values * ~here, ~here], axis=1).astype(np.float64)
    estimate = from_sums(columns, np.arange(len(values)), _gap, seed=seed)
    assert estimate is not None  # both groups have prompts
    return estimate


def flipped(values: Array, seed: int) -> float:
    """(1 + draws of signs with a mean as far from 0) / (1 + draws)."""
    observed = abs(values.sum()) * (1 - _ROUNDING)
    as_far = sum(
        int((np.abs(signs @ values) >= observed).sum())
        for signs in draw_signs(DRAWS, len(values), seed)
    )
    return (1 + as_far) / (1 + DRAWS)


def permuted(values: Array, here: NDArray[np.bool_], seed: int) -> float:
    """(1 + orders of the prompts with means as far apart) / (1 + orders)."""
    rng = np.random.default_rng([seed, 12])
    orders = rng.permuted(np.tile(values, (DRAWS, 1)), axis=1)
    n = int(here.sum())
    centre = values.mean()
    observed = abs(values[here].mean() - centre) * (1 - _ROUNDING)
    as_far = int((np.abs(orders[:, :n].mean(1) - centre) >= observed).sum())
    return (1 + as_far) / (1 + DRAWS)


def _gap(sums: Array) -> Array:
    result: Array = sums[..., 0] / sums[..., 1] - sums[..., 2] / sums[..., 3]
    return result
