"""Prices of words that depend on the words before them: a return decomposition with context.

    R(y) = c(x) + sum_i [ w_t(i) + sum_c v_c,t(i) [c stands up to WINDOW words before i] ]

over the word occurrences i of a response, fitted to summed log-ratios by ridge regression within
prompts. Counting words alone (all v = 0) charges "no fool" as it does "fool", even where the reward
pays for it. The contexts c are found from the data: the word whose split of all other words (with c
before, without) takes most of the residual sum of squares beyond chance, then the next, as long as
one takes MIN_GAIN of it. They are chosen, like the weights, without the answers that they are
judged on.

Not identified: whether c or its absence is what pays. Where a word always has c before it, its
price without c was never observed. Hardly identified: how the pay of a phrase is shared between c
and the word behind it, since almost every c has words behind it. What the
phrase is worth, w_c + w_t + v_c,t, is known much better than its parts.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from functools import reduce
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.sparse import csr_matrix, hstack

from irl.config import Fitting
from irl.recovery.least_squares import Design, solve
from irl.rewards.words import Word, located_words
from irl.within import spread

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Pair = tuple[str, str]
"(context, word)"
Key = TypeVar("Key", str, Pair)
WINDOW = 2
MOST_WORDS, MOST_PAIRS, MOST_CONTEXTS = 800, 2000, 3
MIN_GAIN = 0.1
"Of the within-prompt sum of squares that words alone leave, for another context"
SURE = 5.0
"Standard deviations of what chance takes"
CONTEXTS_FILE = "contexts.json"
"Beside the rewards of a run"
RIDGE = 0.5
"In squared occurrences"
_END = re.compile(r"[.!?\n]")


@dataclass(frozen=True)
class Prices:
    """What each word is worth, and what a context adds to it, nats per occurrence."""

    words: dict[str, float]
    contexts: tuple[str, ...]
    added: dict[Pair, float]
    error_nats: float = 0.0
    "standard deviation of what is missed on held-out answers, within prompts; 0 if not measured"

    def part(self, key: str | Pair) -> float:
        """A word's own price, or what a context adds to a word; 0 if it was not fitted."""
        known = self.words.get(key) if isinstance(key, str) else self.added.get(key)
        return known or 0.0

    def in_place(self, text: str) -> Iterator[tuple[Word, tuple[str, ...], float]]:
        """Each word of a text, the contexts that change its price there, and what it is paid."""
        for word, before in _in_context(text):
            after = tuple(c for c in self.contexts if c in before and (c, word.text) in self.added)
            value = self.part(word.text) + sum(self.part((c, word.text)) for c in after)
            yield word, after, value

    def credits(self, text: str) -> list[tuple[Word, float]]:
        """Each word of a text with what it is paid in its place; the rest of the reward is c(x)."""
        return [(word, value) for word, _, value in self.in_place(text)]

    def save(self, file: Path) -> None:
        """Write them as JSON."""
        document = {
            "kind": "contexts",
            "contexts": self.contexts,
            "error_nats": self.error_nats,
            "words": self.words,
            "added": [[*pair, nats] for pair, nats in self.added.items()],
        }
        file.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(document, ensure_ascii=False, indent=1)
        file.write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, file: Path) -> "Prices":
        """Read what `save` wrote."""
        document = json.loads(file.read_text(encoding="utf-8"))
        added = {(context, word): float(nats) for context, word, nats in document["added"]}
        contexts = tuple(document["contexts"])
        return cls(document["words"], contexts, added, float(document["error_nats"]))

    def __call__(self, texts: Sequence[str]) -> Array:
        """The reward of each text, up to the constant of its prompt."""
        return np.array([sum(value for _, value in self.credits(text)) for text in texts])


@dataclass(frozen=True)
class JointPrices:
    """Prices without shrinkage, and the error of any sum of them, with the contexts as given.

    The ridge that predicts best moves prices towards 0, which no standard error knows. These are
    least squares, with errors by the jackknife over prompts; prices that share answers move
    together.
    """

    column: dict[str | Pair, int]
    "of each price: of a word, or what a context adds to a word"
    weights: Array
    influence: Array
    "[prompt, column]: what leaving a prompt out takes from each price"
    groups: Array
    "[column]: how many prompts carry each price"

    def of(self, shares: Mapping[str | Pair, float]) -> tuple[float, float]:
        """A weighted sum of prices and its standard error; those that were not fitted are 0."""
        n = max(len(self.influence), 1)
        columns = [self.column[key] for key in shares if key in self.column]
        weighed = np.array([share for key, share in shares.items() if key in self.column])
        moved = self.influence[:, columns] @ weighed
        error = float(np.sqrt(moved @ moved * (n - 1) / n))
        return float(self.weights[columns] @ weighed), error


@dataclass(frozen=True)
class ContextFit:
    """Prices with and without context, and how well each does on answers it was not fitted to."""

    prices: Prices
    "on all answers, shrunk as predicts best"
    occurrences: dict[Pair, int]
    "of each word in each context"
    with_context: Array
    "predictions out of fold, centred within prompts"
    words_alone: Array
    "the same of counts"
    joint: JointPrices
    "the same prices, to be told with their errors"


def fit_contexts(
    texts: Sequence[str], returns: Array, prompt: Codes, fold: Codes, fitting: Fitting
) -> ContextFit:
    """Fit prices with and without context.

    Args:
        texts: the responses.
        returns: their summed log-ratios, nats.
        prompt: prompt number of each.
        fold: held-out fold of each; a prompt lies in one fold.
        fitting: how often a word or pair must occur.
    """
    found = _Occurrences.of(texts, fitting.min_responses)
    design = Design(found.features, prompt)
    parts = {out: design.rows(fold == out) for out in np.unique(fold).tolist()}
    sums = {out: _Sums.of(part, returns[fold == out]) for out, part in parts.items()}
    whole = reduce(_Sums.__add__, sums.values())
    both = np.zeros((2, len(texts)))
    for out, held_out in parts.items():
        for at, most in enumerate((MOST_CONTEXTS, 0)):
            predicted = held_out.predict(_fitted(whole - sums[out], found, most)[0])
            both[at, fold == out] = predicted
    weights, contexts = _fitted(whole, found, MOST_CONTEXTS)
    prices = Prices(
        dict(zip(found.words, weights.tolist(), strict=False)),
        contexts,
        {
            pair: float(weight)
            for pair, weight in zip(found.pairs, weights[len(found.words) :], strict=True)
            if pair[0] in contexts
        },
        spread(returns - both[0], prompt),
    )
    counts = np.asarray(found.features.sum(0)).ravel()[len(found.words) :].astype(int).tolist()
    occurrences = dict(zip(found.pairs, counts, strict=True))
    joint = _joint_prices(design, returns, found, contexts)
    return ContextFit(prices, occurrences, both[0], both[1], joint)


@dataclass(frozen=True)
class _Occurrences:
    words: list[str]
    pairs: list[Pair]
    features: csr_matrix
    "[text, words then pairs]"

    @classmethod
    def of(cls, texts: Sequence[str], least: int) -> "_Occurrences":
        counted = [list(_in_context(text)) for text in texts]
        single = [Counter(word.text for word, _ in row) for row in counted]
        paired = [
            Counter((c, word.text) for word, before in row for c in set(before)) for row in counted
        ]
        words, pairs = _common(single, least, MOST_WORDS), _common(paired, least, MOST_PAIRS)
        features = csr_matrix(hstack([_matrix(single, words), _matrix(paired, pairs)]))
        return cls(words, pairs, features)


def _in_context(text: str) -> Iterator[tuple[Word, list[str]]]:
    """Each word with those before it, up to WINDOW of the same sentence."""
    before: list[str] = []
    end = 0
    for word in located_words(text):
        if _END.search(text, end, word.start):
            before = []
        yield word, before[-WINDOW:]
        before, end = [*before[-WINDOW:], word.text], word.end


def _common(counters: Sequence[Counter[Key]], least: int, most: int) -> list[Key]:
    """Keys that stand in enough texts, the most frequent ones, in order."""
    seen = Counter(key for counter in counters for key in counter)
    return sorted(key for key, n in seen.most_common(most) if n >= least)


def _matrix(counters: Sequence[Counter[Key]], keys: Sequence[Key]) -> csr_matrix:
    column = {key: at for at, key in enumerate(keys)}
    entries = [
        (row, column[key], n)
        for row, counter in enumerate(counters)
        for key, n in counter.items()
        if key in column
    ]
    rows, columns, values = np.array(entries, dtype=np.float64).reshape(-1, 3).T
    shape = (len(counters), len(keys))
    return csr_matrix((values, (rows.astype(int), columns.astype(int))), shape=shape)


@dataclass(frozen=True)
class _Sums:
    """All that the fits need of the answers."""

    gram: Array
    "X'CX"
    pull: Array
    "X'Cy"
    total: float
    "y'Cy"
    freedom: int
    "answers less prompts"

    @classmethod
    def of(cls, design: Design, returns: Array) -> "_Sums":
        y = design.centre(returns)
        freedom = len(y) - int(design.group.max()) - 1
        pull = np.asarray(design.features.T @ y)
        return cls(design.cross(design), pull, float(y @ y), freedom)

    def __add__(self, other: "_Sums") -> "_Sums":
        """Of both sets of prompts together: what is centred within prompts adds up."""
        pairs = zip(astuple(self), astuple(other), strict=True)
        return _Sums(*(mine + theirs for mine, theirs in pairs))

    def __sub__(self, other: "_Sums") -> "_Sums":
        """Without some of the prompts."""
        pairs = zip(astuple(self), astuple(other), strict=True)
        return _Sums(*(mine - theirs for mine, theirs in pairs))


def _fitted(sums: _Sums, found: _Occurrences, most: int) -> tuple[Array, tuple[str, ...]]:
    """Weights of all columns, 0 where a column has no part, and the contexts that have one."""
    gram, pull = sums.gram, sums.pull
    by_context: dict[str, list[int]] = {}
    for at, (context, _) in enumerate(found.pairs, len(found.words)):
        by_context.setdefault(context, []).append(at)
    columns = np.arange(len(found.words))
    contexts: list[str] = []
    while True:
        factor = cho_factor(gram[np.ix_(columns, columns)] + RIDGE * np.eye(len(columns)))
        weights = cho_solve(factor, pull[columns])
        left = sums.total - float(weights @ pull[columns])
        if len(contexts) >= most:
            break
        rest = {key: np.array(own) for key, own in by_context.items() if key not in contexts}
        gains = _gains(sums, columns, factor[0], rest, left / _freedom(sums, factor[0]))
        best = max(gains, key=lambda key: gains[key], default=None)
        if best is None or gains[best] <= MIN_GAIN * left:
            break
        contexts.append(best)
        columns = np.concatenate([columns, by_context[best]])
    every = np.zeros(len(pull))
    every[columns] = weights
    return every, tuple(contexts)


def _freedom(sums: _Sums, upper: Array) -> float:
    """Degrees of freedom that are left: answers less prompts less tr(G (G + ridge)^-1)."""
    inverse = solve_triangular(upper, np.eye(len(upper)))
    spent = len(upper) - RIDGE * float((inverse**2).sum())
    return max(sums.freedom - spent, 1.0)


def _gains(
    sums: _Sums, columns: Codes, upper: Array, groups: dict[str, Codes], noise: float
) -> dict[str, float]:
    """What each group of columns takes beyond chance if it joins those that are fitted.

    Args:
        sums: of the answers.
        columns: those that are fitted.
        upper: the Cholesky factor of their part of the ridge equations.
        groups: the columns of each context.
        noise: the residual variance.
    """
    every = np.concatenate([*groups.values(), np.empty(0, dtype=int)])
    half = solve_triangular(upper, sums.gram[np.ix_(columns, every)], trans="T")
    seen = half.T @ solve_triangular(upper, sums.pull[columns], trans="T")
    gains, start = {}, 0
    for context, own in groups.items():
        at = slice(start, start + len(own))
        free = sums.gram[np.ix_(own, own)] - half[:, at].T @ half[:, at]
        gains[context] = _gain(free, sums.pull[own] - seen[at], noise)
        start += len(own)
    return gains


def _gain(free: Array, wanted: Array, noise: float) -> float:
    """What columns take from the residual sum of squares beyond chance; 0 if not surely so.

    By chance they take noise times a chi-squared of as many degrees of freedom.
    """
    taken = wanted @ np.linalg.solve(free + RIDGE * np.eye(len(wanted)), wanted)
    beyond = float(taken) - noise * len(wanted)
    return beyond if beyond > SURE * noise * np.sqrt(2 * len(wanted)) else 0.0


def _joint_prices(
    design: Design, returns: Array, found: _Occurrences, contexts: Sequence[str]
) -> JointPrices:
    n = len(found.words)
    chosen = [at for at, pair in enumerate(found.pairs, n) if pair[0] in contexts]
    columns = np.array([*range(n), *chosen], dtype=int)
    keys: list[str | Pair] = [*found.words, *(found.pairs[at - n] for at in chosen)]
    solved = solve(design.columns(columns), returns)
    column = {key: at for at, key in enumerate(keys)}
    return JointPrices(column, solved.weights, solved.influence, solved.groups)
