"""Forward selection: features one by one, each for what it explains beyond those before it.

Each step adds the column whose score

    z^2 = (x'e)^2 / (s^2 x'Mx)

is largest: e are the residuals and M projects out what has been added before. It stops where chance
among that many columns would give such a score. Words of one phrase always go together, and many
sums of weights then explain the same; the one with few terms is found, where dropping terms from a
fit of all would end with any of them. A column that mostly goes with those before it is passed
over: "only" and "would" of "only a fool would" share one weight, and a fit of both would report
large opposite ones.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from irl.recovery.least_squares import RIDGE, Design, Solution, freedom, solve

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
MIN_OWN_SHARE = 0.5
"Most of a word's variation must be its own, not that of words added before (inflation below 2)"
MAX_CHANCE = 0.05
"Probability that some column scores as high by chance: lenient, stricter tests follow"


def forward(design: Design, returns: Array, offered: Codes, most: int) -> Codes:
    """At most so many of the offered columns, strongest first; their interval excludes 0."""
    kept = added(design, returns, offered, most)
    return strongest(kept, solve(design.columns(kept), returns), most)


def added(design: Design, returns: Array, offered: Codes, most: int) -> Codes:
    """Column 0 (the number of words), then at most so many of the offered columns, as added."""
    columns = np.concatenate([np.zeros(1, dtype=np.int64), offered])
    every = design.columns(columns)
    y = design.centre(returns)
    gram = every.cross(every) + RIDGE * np.eye(len(columns))
    own = np.diag(gram).copy()
    state = _State(own, np.asarray(every.features.T @ y), float(y @ y))
    freedom = len(design.group) - int(design.group.max()) - 1
    chosen = [0]
    state.add(gram, 0)
    while len(chosen) <= min(most, freedom - 2):
        usable = state.free > MIN_OWN_SHARE * own
        usable[chosen] = False
        gains = np.where(usable, state.pulls**2 / np.where(usable, state.free, 1.0), 0.0)
        best = int(gains.argmax())
        left = freedom - len(chosen) - 1
        noise = max(state.rest - gains[best], RIDGE) / left
        if 2 * t.sf(np.sqrt(gains[best] / noise), left) * (len(columns) - 1) >= MAX_CHANCE:
            break
        state.add(gram, best)
        chosen.append(best)
    return columns[chosen]


def strongest(columns: Codes, solution: Solution, most: int) -> Codes:
    """The columns of terms whose 95 % interval stays farthest from 0, strongest first."""
    half = t.ppf(0.975, freedom(solution.groups)) * solution.standard_errors
    nearest = np.abs(solution.weights) - half
    certain = np.flatnonzero((nearest > 0) & (columns > 0))
    return columns[certain[np.argsort(-nearest[certain])][:most]]


class _State:
    """What all columns have left once those that were added are projected out (Cholesky rows)."""

    def __init__(self, free: Array, pulls: Array, rest: float) -> None:
        self.free, self.pulls, self.rest = free, pulls, rest
        self.rows: list[Array] = []

    def add(self, gram: Array, column: int) -> None:
        """Project out one more column."""
        shared = gram[column].copy()
        for row in self.rows:
            shared -= row[column] * row
        norm = np.sqrt(max(shared[column], RIDGE))
        row, pull = shared / norm, self.pulls[column] / norm
        self.rows.append(row)
        self.free = self.free - row**2
        self.pulls = self.pulls - pull * row
        self.rest -= pull**2
