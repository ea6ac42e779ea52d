"""Sign flips of whole prompts: how often would chance explain as much, out of fold?

Without an objective the centred returns y of a prompt are as likely as their negatives. A draw
flips the signs of whole prompts, fits the weights of the given features again on the prompts
outside each fold, and sums what they explain of the flipped returns inside:

    T(s) = sum_k [2 w_k' c_k - w_k' B_k w_k],   w_k = A_k^-1 sum_{g not in k} s_g b_g,
    c_k = sum_{g in k} s_g b_g,   b_g = X_g' y_g,   A_k, B_k = sums of X_g' X_g outside and inside

X and y are centred within prompts; X'X does not change with the signs, so a draw costs a few
products of small matrices. Which features a fold uses was chosen on the other folds with the true
signs; the flipped weights profit less from that choice, but then so do the true ones in the fold
that they had no part in.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irl.recovery.least_squares import RIDGE

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]
_BLOCK = 4096


@dataclass(frozen=True)
class FoldSums:
    """What one fold adds to the statistic."""

    pulls: Array
    "b_g, [prompt, feature]"
    inside: Mask
    "[prompt]"
    outer: Array
    "A_k"
    inner: Array
    "B_k"

    @classmethod
    def of(cls, features: Array, returns: Array, prompt: Codes, inside: Mask) -> "FoldSums":
        """Sums of dense features and returns, both centred; `inside` is per response."""
        n_prompts = int(prompt.max()) + 1
        pulls = np.zeros((n_prompts, features.shape[1]))
        np.add.at(pulls, prompt, features * returns[:, None])
        mine = np.zeros(n_prompts, dtype=bool)
        mine[prompt[inside]] = True
        inner = features[inside].T @ features[inside]
        ridge = RIDGE * np.eye(features.shape[1])
        return cls(pulls, mine, features.T @ features - inner + ridge, inner)

    def explained(self, signs: Array) -> Array:
        """Explained sum of squares inside the fold, [draw]."""
        outer = signs[:, ~self.inside] @ self.pulls[~self.inside]
        inner = signs[:, self.inside] @ self.pulls[self.inside]
        weights = np.linalg.solve(self.outer, outer.T).T
        result: Array = (2 * weights * inner - weights @ self.inner * weights).sum(1)
        return result


def draw_signs(draws: int, prompts: int, seed: int) -> Iterator[Array]:
    """Random signs in blocks, [draw, prompt]."""
    generator = np.random.default_rng(seed)
    for start in range(0, draws, _BLOCK):
        shape = min(_BLOCK, draws - start), prompts
        heads = generator.integers(0, 2, size=shape, dtype=np.int8)
        yield np.asarray(2 * heads - 1, dtype=np.float64)


def explained(parts: Sequence[FoldSums], signs: Array) -> Array:
    """The statistic T, [draw]."""
    result: Array = np.sum([part.explained(signs) for part in parts], axis=0)
    return result


def sign_flip_p(parts: Sequence[FoldSums], draws: int, seed: int) -> float:
    """(1 + draws that explain at least as much) / (1 + draws)."""
    if not parts:
        return 1.0
    prompts = len(parts[0].inside)
    observed = explained(parts, np.ones((1, prompts)))[0]
    as_much = sum(
        int((explained(parts, signs) >= observed - 1e-9 * abs(observed)).sum())
        for signs in draw_signs(draws, prompts, seed)
    )
    return (1 + as_much) / (1 + draws)
