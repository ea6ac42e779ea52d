"""How far a score is the true reward, where that is known: of organisms.

Both are centred within prompts. At the KL-regularised optimum the log-ratio is the true reward over
beta but for a constant of the prompt: correlation 1, slope 1. A policy that stopped before it has
learnt part of each price, and the slope says how large a part. Intervals draw prompts again.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from irl.bootstrap import correlation, from_sums, rank_correlation, ratio
from irl.records import TruthAgreement
from irl.within import centred

Array = NDArray[np.float64]


def truth_agreement(
    scorer: Literal["log_ratio", "recovered"],
    scores: Array,
    true_nats: Array,
    prompt: NDArray[np.int64],
    seed: int,
) -> TruthAgreement:
    """One scorer against the true reward; null where either is the same for all answers.

    Args:
        scorer: its name.
        scores: of the responses, nats.
        true_nats: the true reward of the responses over beta.
        prompt: prompt number of each, all of 0 .. n - 1 used.
        seed: of the bootstrap.
    """
    x, y = centred(true_nats, prompt), centred(scores, prompt)
    columns = np.stack([x * y, x * x], axis=1)
    return TruthAgreement(
        scorer=scorer,
        pearson=correlation(x, y, prompt, seed),
        spearman=rank_correlation(x, y, prompt, seed),
        slope=from_sums(columns, prompt, ratio, seed=seed) if np.any(x) else None,
    )
