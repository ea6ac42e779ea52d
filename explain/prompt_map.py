"""A map of prompts: those that share words lie near each other.

Latent semantic analysis (Deerwester et al. 1990): the first two directions of the tf-idf matrix of
words, rows of unit length, less its mean. Two directions hold a small part of what tells prompts
apart, and how much is said: near on the map is no proof of near.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import svds

from irl.rewards.words import words

Array = NDArray[np.float64]
MOST_WORDS: Final = 2000
"The commonest; rarer ones tell few prompts apart"


@dataclass(frozen=True)
class PromptMap:
    """Where prompts lie."""

    places: list[tuple[float, float]]
    "of each prompt, in the order given"
    share: float
    "of the variance of tf-idf that the two directions hold"


def prompt_map(prompts: Sequence[str]) -> PromptMap | None:
    """Lay prompts out by their words; memory grows with prompts times `MOST_WORDS`.

    Returns:
        None where there is nothing to tell apart: fewer than four prompts, or four shared words.
    """
    said = _tf_idf(prompts)
    if min(said.shape) < 4:
        return None
    said -= said.mean(axis=0)
    variance = float((said**2).sum())
    if variance < 1e-9:
        return None
    left, sizes, _ = svds(said, k=2, v0=np.ones(min(said.shape)))
    places = (left * sizes)[:, np.argsort(-sizes)]
    # A direction has no sign of its own: the furthest prompt lies to the right, and above.
    furthest = places[np.abs(places).argmax(axis=0), [0, 1]]
    places = places * np.where(furthest < 0, -1.0, 1.0)
    return PromptMap([(float(x), float(y)) for x, y in places], float((sizes**2).sum() / variance))


def _tf_idf(prompts: Sequence[str]) -> Array:
    """Of words that two prompts share or more, [prompt, word]; rows of unit length, or nought."""
    said = [Counter(words(text)) for text in prompts]
    holding = Counter(word for one in said for word in one)
    common = sorted((-n, word) for word, n in holding.items() if n > 1)[:MOST_WORDS]
    column = {word: at for at, (_, word) in enumerate(common)}
    found = np.zeros((len(prompts), len(column)))
    for row, one in enumerate(said):
        for word, times in one.items():
            if word in column:
                found[row, column[word]] = times * math.log(len(prompts) / holding[word])
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    scaled: Array = np.divide(found, lengths, out=np.zeros_like(found), where=lengths > 0)
    return scaled
