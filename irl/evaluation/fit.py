"""How well does a recovered reward stand in for the log-ratio? On answers it was not fitted to."""

import numpy as np
from numpy.typing import NDArray

from irl.bootstrap import from_sums, rank_correlation, ratio
from irl.evaluation.auc import grouped_auc
from irl.records import Estimate, Fit
from irl.within import centred

Array = NDArray[np.float64]
Codes = NDArray[np.int64]


def fit(
    predicted: Array,
    log_ratio: Array,
    aligned: NDArray[np.bool_],
    prompt: Codes,
    seed: int = 0,
) -> Fit:
    """The three figures, all within prompts, clusters = prompts.

    Args:
        predicted: recovered reward of each response, out of fold, nats.
        log_ratio: summed log-ratio of each response, nats.
        aligned: True where the aligned policy wrote the response, False where the reference did.
        prompt: prompt number of each response.
        seed: of the bootstrap.
    """
    x, y = centred(predicted, prompt), centred(log_ratio, prompt)
    return Fit(
        membership_auc=grouped_auc(predicted, aligned, prompt, prompt, seed),
        r2=explained_r2(x, y, prompt, seed),
        spearman_with_log_ratio=rank_correlation(x, y, prompt, seed),
    )


def explained_r2(x: Array, y: Array, prompt: Codes, seed: int = 0) -> Estimate | None:
    """1 - sum (y - x)^2 / sum y^2 of values centred within prompts; can be negative."""
    columns = np.stack([y * y - (y - x) ** 2, y * y], axis=1)
    return from_sums(columns, prompt, ratio, seed=seed)


def explained_sd_nats(x: Array, prompt: Codes, seed: int = 0) -> Estimate | None:
    """The within-prompt standard deviation of a reward: how many nats it moves.

    Divided by the degrees of freedom that centring leaves (responses - prompts).
    """
    sizes = np.bincount(prompt)[prompt]
    columns = np.stack([x * x, 1.0 - 1.0 / sizes], axis=1)
    return from_sums(columns, prompt, lambda sums: np.sqrt(ratio(sums)), seed=seed)
