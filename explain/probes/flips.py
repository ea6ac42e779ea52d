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
from explain.resampling import Array
from explain.targets import Exchange, Target
from irl.records import Flip, FlipSearch
from irl.rewards.conditions import TypedPrompt
from irl.rewards.words import words

PAIRED = 24
EXAMPLES = 5
Edit = tuple[int, str]
"A word, counted from 0, and what comes in its place; nothing if empty"
Edits = tuple[Edit, ...]


@dataclass(frozen=True)
class Smallest:
    """A smallest edit of an answer that makes another one preferred."""

    edits: Edits
    text: str
    value: float


@dataclass(frozen=True)
class Preference:
    """Two answers to a prompt, the preferred one first."""

    better: Exchange
    worse: Exchange
    worth: tuple[float, float]


def search_flips(asked: Flips, ground: Ground, by: Measuring) -> FlipSearch:
    """Flip preferences among the run's own answers."""
    swaps = {key.lower(): value for key, value in asked.swaps.items()}
    preferences = _preferences(ground, asked.pairs, by)
    all_found = smallest(
        [one.better for one in preferences], [one.worth[1] for one in preferences], swaps, by.target
    )
    sizes = Counter(0 if found is None else len(found.edits) for found in all_found)
    touched: Counter[str] = Counter()
    examples: list[Flip] = []
    for preference, found in zip(preferences, all_found, strict=True):
        if found is not None:
            said = words(preference.better.response)
            touched.update({said[at] for at, _ in found.edits})
            examples.append(_flip(preference, found))
    return FlipSearch(
        pairs=len(preferences),
        by_one=sizes[1],
        by_two=sizes[2],
        by_none=sizes[0],
        words=dict(touched.most_common(20)),
        examples=sorted(examples, key=lambda one: len(one.edits))[:EXAMPLES],
    )


def smallest(
    preferred: Sequence[Exchange],
    below: Sequence[float],
    swaps: Mapping[str, str],
    target: Target,
) -> list[Smallest | None]:
    """The smallest edit of each answer that brings it below a value; None if two edits do not."""
    singles = [[(edit,) for edit in single_edits(one.response, swaps)] for one in preferred]
    values = _valued(preferred, singles, target)
    found = [
        _lowest(own, edits, worth, limit)
        for own, edits, worth, limit in zip(preferred, singles, values, below, strict=True)
    ]
    left = [at for at, one in enumerate(found) if one is None]
    pairs = [_paired(singles[at], values[at]) for at in left]
    answers = [preferred[at] for at in left]
    for at, edits, worth in zip(left, pairs, _valued(answers, pairs, target), strict=True):
        found[at] = _lowest(preferred[at], edits, worth, below[at])
    return found


def _paired(singles: Sequence[Edits], values: Array) -> list[Edits]:
    """Every two edits, of different words, among those that lower the value most."""
    strongest = sorted(np.argsort(values, kind="stable")[:PAIRED].tolist())
    return [
        (*singles[a], *singles[b])
        for a, b in combinations(strongest, 2)
        if singles[a][0][0] != singles[b][0][0]
    ]


def single_edits(text: str, swaps: Mapping[str, str]) -> list[Edit]:
    """Every word that may go, and every one that has a partner."""
    return [
        edit
        for at, word in enumerate(words(text))
        for edit in ([(at, ""), (at, swaps[word])] if word in swaps else [(at, "")])
    ]


def _valued(
    preferred: Sequence[Exchange], edits: Sequence[Sequence[Edits]], target: Target
) -> list[Array]:
    """The target on every edited answer, read in one call."""
    texts = [
        replace(one, response=replaced_words(one.response, dict(edit)))
        for one, own in zip(preferred, edits, strict=True)
        for edit in own
    ]
    ends = np.cumsum([len(own) for own in edits])[:-1].astype(int)
    values = target(texts).numpy().astype(np.float64) if texts else np.empty(0)
    return np.split(values, ends) if len(edits) else []


def _lowest(
    preferred: Exchange, edits: Sequence[Edits], values: Array, below: float
) -> Smallest | None:
    if not len(values) or values.min() >= below:
        return None
    at = int(values.argmin())
    text = replaced_words(preferred.response, dict(edits[at]))
    return Smallest(edits[at], text, float(values[at]))


def _preferences(ground: Ground, n: int, by: Measuring) -> list[Preference]:
    """Two answers that differ in text and worth, to each of some prompts."""
    rng = np.random.default_rng([by.seed, 14])
    pairs: list[tuple[Exchange, Exchange]] = []
    for number in rng.permutation(len(ground.by_prompt)):
        own = {ground.exchanges[at].response: at for at in ground.by_prompt[number]}
        if len(own) > 1 and len(pairs) < n:
            a, b = rng.choice(sorted(own.values()), 2, replace=False)
            pairs.append((ground.exchanges[a], ground.exchanges[b]))
    if not pairs:
        return []
    values = by.target([one for pair in pairs for one in pair]).numpy().astype(np.float64)
    found = []
    for (one, other), (a, b) in zip(pairs, values.reshape(-1, 2).tolist(), strict=True):
        if a != b:
            better, worse = (one, other) if a > b else (other, one)
            found.append(Preference(better, worse, (max(a, b), min(a, b))))
    return found


def _flip(preference: Preference, found: Smallest) -> Flip:
    better, (above, below) = preference.better, preference.worth
    said = words(better.response)
    return Flip(
        prompt=TypedPrompt.of(better.prompt).text,
        preferred=better.response,
        other=preference.worse.response,
        edited=found.text,
        edits=[f"{said[at]} -> {new}" if new else f"without {said[at]}" for at, new in found.edits],
        margin_before=above - below,
        margin_after=found.value - below,
    )
