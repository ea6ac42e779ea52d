"""Forward selection of a few terms, for when prompts are too few to weigh all words at once.

Column 0, the number of words, is always beside them. Each step adds the column whose score

    z^2 = (x'e)^2 / (s^2 x'Mx)

is largest: e are the residuals and M projects out what has been added before. It stops where chance
among that many columns would give such a score. At the end only those whose interval excludes 0
stay, strongest first.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from irl.recovery.catalogue import MIN_FREE_SHARE
from irl.recovery.least_squares import RIDGE, Design, Solution, solve

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
MAX_CHANCE = 0.05
"Probability that some column scores as high by chance: lenient, what counts is the other folds"


def forward(design: Design, returns: Array, offered: Codes, most: int) -> Codes:
    """At most so many of the offered columns, strongest first."""
    columns = np.concatenate([np.zeros(1, dtype=np.int64), offered])
    every = design.columns(columns)
    gram = every.cross(every) + RIDGE * np.eye(len(columns))
    moments = np.asarray(every.features.T @ design.centre(returns))
    total = float(design.centre(returns) @ returns)
    freedom = len(design.group) - int(design.group.max()) - 1
    chosen = [0]
    while len(chosen) <= most:
        best = _next(gram, moments, total, chosen, freedom)
        if best is None:
            break
        chosen.append(best)
    kept = columns[chosen]
    return strongest(kept, solve(design.columns(kept), returns), most)


def strongest(columns: Codes, solution: Solution, most: int) -> Codes:
    """The columns of terms whose 95 % interval stays farthest from 0, strongest first."""
    groups = max(len(solution.influence), 2)
    nearest = np.abs(solution.weights) - t.ppf(0.975, groups - 1) * solution.standard_errors
    certain = np.flatnonzero((nearest > 0) & (columns > 0))
    return columns[certain[np.argsort(-nearest[certain])][:most]]


def _next(gram: Array, moments: Array, total: float, chosen: list[int], freedom: int) -> int | None:
    left = freedom - len(chosen) - 1
    if left < 1 or len(chosen) == len(gram):
        return None
    solved = np.linalg.solve(gram[np.ix_(chosen, chosen)], gram[chosen])
    pulls = moments - moments[chosen] @ solved
    own = np.diag(gram)
    free = own - (gram[chosen] * solved).sum(0)
    rest = total - moments[chosen] @ np.linalg.solve(gram[np.ix_(chosen, chosen)], moments[chosen])
    usable = free > MIN_FREE_SHARE * own
    usable[chosen] = False
    gains = np.where(usable, pulls**2 / np.where(usable, free, 1.0), 0.0)
    best = int(gains.argmax())
    noise = max(rest - gains[best], RIDGE) / left
    chance = 2 * t.sf(np.sqrt(gains[best] / noise), left) * (len(gram) - 1)
    return best if chance < MAX_CHANCE else None
