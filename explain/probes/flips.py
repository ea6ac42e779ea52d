"""The smallest edits that flip a preference: one or two words that go or are swapped.

Of two answers to a prompt the target prefers one. Every single edit of it is tried, then every two
of them together; of the smallest size that makes the other one preferred, the edit that lowers it
most is named. In long answers two edits are tried only among those PAIRED that lower it most, one
by one; there `by_none` may hold answers that another two edits would flip.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from explain.probes.declared import Flips
from explain.probes.edits import replaced_words
from explain.probes.evidence import Ground, Measuring
from explain.probes.resampling import Array
from explain.targets import Exchange, Target
from irl.records import Flip, FlipSearch
from irl.rewards.conditions import TypedPrompt
from irl.rewards.words import words

PAIRED = 24
EXAMPLES = 5
Edit = tuple[int, str]
"A word, counted from 0, and what comes in its place; nothing if empty"


@dataclass(frozen=True)
class Smallest:
    """A smallest edit of an answer that makes another one preferred."""

    edits: tuple[Edit, ...]
    text: str
    value: float


def search_flips(asked: Flips, ground: Ground, by: Measuring) -> FlipSearch:
    """Flip preferences among the run's own answers."""
    rng = np.random.default_rng([by.seed, 14])
    swaps = {key.lower(): value for key, value in asked.swaps.items()}
    sizes: Counter[int] = Counter()
    touched: Counter[str] = Counter()
    examples: list[Flip] = []
    for better, worse in _pairs(ground, asked.pairs, rng):
        own = by.target([better, worse]).numpy().astype(np.float64)
        if own[0] < own[1]:
            better, worse, own = worse, better, own[::-1]
        if own[0] == own[1]:
            continue
        found = smallest(better, float(own[1]), swaps, by.target)
        sizes[0 if found is None else len(found.edits)] += 1
        if found is not None:
            said = words(better.response)
            touched.update({said[at] for at, _ in found.edits})
            examples.append(_flip(better, worse, found, own))
    return FlipSearch(
        pairs=sizes.total(),
        by_one=sizes[1],
        by_two=sizes[2],
        by_none=sizes[0],
        words=dict(touched.most_common(20)),
        examples=sorted(examples, key=lambda one: len(one.edits))[:EXAMPLES],
    )


def smallest(
    preferred: Exchange, below: float, swaps: Mapping[str, str], target: Target
) -> Smallest | None:
    """The smallest edit that brings an answer below a value; None if two edits do not."""
    singles = [(edit,) for edit in single_edits(preferred.response, swaps)]
    values = _valued(preferred, singles, target)
    if found := _lowest(preferred, singles, values, below):
        return found
    strongest = sorted(np.argsort(values, kind="stable")[:PAIRED].tolist())
    pairs = [
        (*singles[a], *singles[b])
        for a, b in combinations(strongest, 2)
        if singles[a][0][0] != singles[b][0][0]
    ]
    return _lowest(preferred, pairs, _valued(preferred, pairs, target), below)


def single_edits(text: str, swaps: Mapping[str, str]) -> list[Edit]:
    """Every word that may go, and every one that has a partner."""
    return [
        edit
        for at, word in enumerate(words(text))
        for edit in ([(at, ""), (at, swaps[word])] if word in swaps else [(at, "")])
    ]


def _valued(preferred: Exchange, edits: Sequence[tuple[Edit, ...]], target: Target) -> Array:
    texts = [replaced_words(preferred.response, dict(one)) for one in edits]
    values: Array = target([replace(preferred, response=text) for text in texts]).numpy()
    return values.astype(np.float64)


def _lowest(
    preferred: Exchange, edits: Sequence[tuple[Edit, ...]], values: Array, below: float
) -> Smallest | None:
    if not len(values) or values.min() >= below:
        return None
    at = int(values.argmin())
    text = replaced_words(preferred.response, dict(edits[at]))
    return Smallest(edits[at], text, float(values[at]))


def _pairs(ground: Ground, n: int, rng: np.random.Generator) -> list[tuple[Exchange, Exchange]]:
    """Two answers that differ, to each of some prompts."""
    found: list[tuple[Exchange, Exchange]] = []
    for number in rng.permutation(len(ground.by_prompt)):
        own = {ground.exchanges[at].response: at for at in ground.by_prompt[number]}
        if len(own) > 1 and len(found) < n:
            a, b = rng.choice(sorted(own.values()), 2, replace=False)
            found.append((ground.exchanges[a], ground.exchanges[b]))
    return found


def _flip(better: Exchange, worse: Exchange, found: Smallest, own: Array) -> Flip:
    said = words(better.response)
    return Flip(
        prompt=TypedPrompt.of(better.prompt).text,
        preferred=better.response,
        other=worse.response,
        edited=found.text,
        edits=[f"{said[at]} -> {new}" if new else f"without {said[at]}" for at, new in found.edits],
        margin_before=float(own[0] - own[1]),
        margin_after=float(found.value - own[1]),
    )
