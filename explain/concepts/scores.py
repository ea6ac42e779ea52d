"""From answers and concepts to scores with their controls.

A concept is measured if its direction tells held-out texts apart: the interval of `separates` lies
above one half. Its p is the larger of two, so it holds whichever of two things is true:

- nothing goes with the target: the sign of each prompt's score - 1/2 is as likely + as -;
- the concept is a mere direction: a random concept's score is as far from 1/2,
  p = (1 + random concepts as far) / (1 + random concepts), exact if labels may change places.

Kim et al. (2018) compare the scores of many runs of a concept with those of random concepts by a
two-sided t test. Its runs share the answers, so they are no sample of anything: with enough runs
any difference is significant. A rank among random concepts needs no distribution.

A concept fires if p, corrected after Holm (1979) for all concepts and layers, is at most `nominal`
and the score at least `min_effect` away from 1/2. Signs of n prompts allow no p below 2^(1 - n), so
with few prompts and many concepts none can fire (`can_fire`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from explain.aspect_measures import Measure
from explain.concepts.directions import (
    Along,
    Answers,
    Texts,
    along,
    along_random,
    coordinates,
    held_out,
)
from explain.concepts.states import Reading
from explain.exchange import Exchange
from explain.resampling import flipped, mean_of
from irl.bootstrap import from_sums, ratio, share
from irl.evaluation.auc import grouped_auc
from irl.records import ConceptLimits, ConceptScore, Estimate
from irl.within import centred

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
MIN_PROMPTS = 8
"With texts of both kinds; below, a direction has no held-out test worth the name"
MIN_RANDOM = 999
_ROUNDING, _RIDGE = 1e-9, 1e-6


@dataclass(frozen=True)
class Said:
    """The answers of a pair that are looked at."""

    exchanges: Sequence[Exchange]
    prompt: Codes
    "prompt number of each"
    aligned: NDArray[np.bool_]
    "who wrote it"

    @property
    def stratum(self) -> Codes:
        """The answers of one policy to one prompt."""
        return 2 * self.prompt + self.aligned


@dataclass(frozen=True)
class Concept:
    """By a rule over the answers, or by examples."""

    name: str
    measure: Measure | None = None
    "answers in which it finds something against answers in which it finds nothing"
    positives: tuple[str, ...] = ()
    negatives: tuple[str, ...] = ()
    "none: the reference's own answers"


@dataclass(frozen=True)
class Measuring:
    """How concepts are measured."""

    layers: Sequence[int]
    limits: ConceptLimits
    seed: int = 0


@dataclass(frozen=True)
class Scored:
    """Every concept at every layer, and what it was read off."""

    rows: list[ConceptScore]
    values: Array
    "the target of each answer"
    places: dict[tuple[int, str], Array]
    "coordinates of the answers by layer and concept, in standard deviations within prompts"


def score_concepts(
    concepts: Sequence[Concept], said: Said, reading: Reading, by: Measuring
) -> Scored:
    """Every concept at every layer, corrected for all of them.

    Args:
        concepts: what is looked for.
        said: answers of both policies.
        reading: the models whose states are read, and the target.
        by: layers, limits and seed.

    Raises:
        InputError: an answer or an example cannot be read or is too long.
    """
    states = reading.read(said.exchanges, by.layers)
    own = _at_layers(states.hidden, said.stratum, said.prompt)
    labelled = {one.name: _labelled(one, said, own, reading, by.layers) for one in concepts}
    draws = random_concepts(len(concepts) * len(by.layers), by.limits.nominal)
    rows: list[ConceptScore] = []
    places: dict[tuple[int, str], Array] = {}
    for at, layer in enumerate(by.layers):
        answers = Answers(states.hidden[:, at], states.gradient[:, at], states.values, said.prompt)
        here: dict[str, Array] = {}
        measured = []
        for name, (texts, positive) in labelled.items():
            one = _Case(name, layer, texts[at], texts[at].weights(positive), answers)
            measured.append(_measured(one, draws, by.seed))
            if measured[-1].score is not None:
                here[name] = coordinates(one.texts, one.weights, answers)
        beside = _beside(here, answers, by.seed)
        rows += [row.model_copy(update=beside.get(row.name, {})) for row in measured]
        places |= {(layer, name): place for name, place in here.items()}
    return Scored(judged(rows, by.limits), states.values, places)


def random_concepts(tests: int, nominal: float) -> int:
    """So many that the smallest p, corrected for all tests, is at most half of what is nominal."""
    return max(MIN_RANDOM, int(np.ceil(2 * tests / nominal)) - 1)


def presence(values: Array, stratum: Codes) -> NDArray[np.bool_]:
    """Which answers have it: more than none; of what all have (length), more than the median.

    The median is that of the answers of the same policy to the same prompt.
    """
    there = values > 0
    mixed = centred(there.astype(np.float64), stratum) != 0
    if len(np.unique(stratum[mixed])) >= MIN_PROMPTS:
        return there
    numbers = np.unique(stratum, return_inverse=True)[1]
    medians = np.array([np.median(values[numbers == one]) for one in range(numbers.max() + 1)])
    result: NDArray[np.bool_] = values > medians[numbers]
    return result


def holm(p: Sequence[float]) -> list[float]:
    """Corrected so that the chance of any false one is at most nominal, however they depend."""
    order, found, most = np.argsort(p, kind="stable"), [0.0] * len(p), 0.0
    for rank, at in enumerate(order):
        most = max(most, min(1.0, (len(p) - rank) * p[at]))
        found[at] = most
    return found


def judged(rows: Sequence[ConceptScore], limits: ConceptLimits) -> list[ConceptScore]:
    """With corrected p, and whether each fires."""
    corrected = iter(holm([row.p_value for row in rows if row.p_value is not None]))
    found = []
    for row in rows:
        if row.p_value is None or row.score is None:
            found.append(row)
            continue
        p = next(corrected)
        large = abs(row.score.value - 0.5) >= limits.min_effect
        update = {"p_corrected": p, "fired": large and p <= limits.nominal}
        found.append(row.model_copy(update=update))
    return found


def can_fire(rows: Sequence[ConceptScore], limits: ConceptLimits) -> bool:
    """Whether the smallest p that signs of prompts allow, times all tests, is at most nominal.

    True where nothing was measured: each row has its own reason then.
    """
    prompts = [row.score.n for row in rows if row.score is not None]
    return not prompts or len(prompts) * smallest_p(max(prompts)) <= limits.nominal


def smallest_p(prompts: int) -> float:
    """Of sign flips on both sides: all signs as they are, or all of them changed."""
    return float(2.0 ** (1 - prompts))


def _at_layers(hidden: NDArray[np.float32], stratum: Codes, prompt: Codes) -> list[Texts]:
    return [Texts(hidden[:, at], stratum, prompt) for at in range(hidden.shape[1])]


def _labelled(
    concept: Concept, said: Said, own: list[Texts], reading: Reading, layers: Sequence[int]
) -> tuple[list[Texts], NDArray[np.bool_]]:
    """Texts at each layer, and which of them have the concept."""
    if concept.measure is not None:
        return own, presence(concept.measure(said.exchanges), said.stratum)
    exchanges, positive, prompt = _examples(concept, said)
    return _at_layers(reading.read(exchanges, layers).hidden, prompt, prompt), positive


def _examples(concept: Concept, said: Said) -> tuple[list[Exchange], NDArray[np.bool_], Codes]:
    """Examples behind prompts of the run, those of both kinds behind the same ones."""
    theirs: dict[int, Exchange] = {}
    for one, number, ours in zip(said.exchanges, said.prompt, said.aligned, strict=True):
        if not ours:
            theirs.setdefault(int(number), one)
    pairs = min(len(concept.positives), len(concept.negatives or theirs), len(theirs))
    numbers = list(theirs)[:pairs]
    negatives = concept.negatives or tuple(theirs[number].response for number in numbers)
    kinds = (concept.positives, negatives)
    behind = np.array([numbers[at % pairs] for texts in kinds for at in range(len(texts))])
    exchanges = [
        Exchange(theirs[number].prompt, text)
        for number, text in zip(behind.tolist(), (*concept.positives, *negatives), strict=True)
    ]
    return exchanges, np.arange(len(behind)) < len(concept.positives), behind


@dataclass(frozen=True)
class _Case:
    """One concept at one layer."""

    name: str
    layer: int
    texts: Texts
    weights: Array
    answers: Answers


def _measured(case: _Case, draws: int, seed: int) -> ConceptScore:
    """What there is to say of it before the others are known."""
    weights, mixed = case.weights, case.weights != 0
    row = ConceptScore(
        name=case.name,
        layer=case.layer,
        positives=int((weights > 0).sum()),
        negatives=int((weights < 0).sum()),
        prompts=len(np.unique(case.texts.prompt[mixed])),
    )
    if row.prompts < MIN_PROMPTS:
        few = f"texts with it and without it to {row.prompts} prompts, fewer than {MIN_PROMPTS}"
        return row.model_copy(update={"reason": few})
    about = (weights[mixed] > 0, case.texts.stratum[mixed], case.texts.prompt[mixed])
    separates = grouped_auc(held_out(case.texts, weights)[mixed], *about, seed)
    row = row.model_copy(update={"separates": separates})
    if separates is None or separates.low <= 0.5:
        absent = "not there: its direction does not tell held-out texts with it from those without"
        return row.model_copy(update={"reason": absent})
    own = along(case.texts, weights[:, None], case.answers)
    if len(own.score) < MIN_PROMPTS:
        same = f"the target is the same for all answers to all prompts but {len(own.score)}"
        return row.model_copy(update={"reason": same})
    return row.model_copy(update=_figures(case, own, draws, seed))


def _figures(case: _Case, own: Along, draws: int, seed: int) -> dict[str, object]:
    """Scores and TCAV beside those of random concepts, slope and derivative."""
    others = list(along_random(case.texts, case.weights, case.answers, draws, seed))
    place = coordinates(case.texts, case.weights, case.answers)
    found: dict[str, object] = {
        "slope": slope(place, case.answers, seed),
        "derivative": mean_of(own.derivative[:, 0], seed),
    }
    p = {}
    for name in ("score", "tcav"):
        mine = getattr(own, name)[:, 0]
        random = np.concatenate([getattr(one, name).mean(0) for one in others])
        low, high = np.quantile(random, [0.025, 0.975])
        found |= {name: share(mean_of(mine, seed)), f"{name}_random": (float(low), float(high))}
        p[name] = rank_p(float(mine.mean()), random)
    by_signs = max(flipped(own.score[:, 0] - 0.5, seed), smallest_p(len(own.score)))
    return found | {"p_value": max(by_signs, p["score"]), "tcav_p": p["tcav"]}


def rank_p(score: float, random: Array) -> float:
    """(1 + random scores as far from one half) / (1 + random scores)."""
    far = np.abs(random - 0.5) >= abs(score - 0.5) - _ROUNDING
    return float(1 + far.sum()) / (1 + len(random))


def slope(place: Array, answers: Answers, seed: int) -> Estimate | None:
    """Of the target on standardised coordinates, within prompts."""
    y = centred(answers.values, answers.prompt)
    return from_sums(np.stack([place * y, place**2], axis=1), answers.prompt, ratio, seed=seed)


def held_fixed(places: Array, answers: Answers, seed: int) -> list[Estimate | None]:
    """Slopes on several coordinates at once, [answer, concept], within prompts."""
    n, k = places.shape
    y = centred(answers.values, answers.prompt)
    products = (places[:, :, None] * places[:, None, :]).reshape(n, k * k)
    columns = np.concatenate([products, places * y[:, None]], axis=1)

    def slope_at(at: int, sums: Array) -> Array:
        gram = sums[:, : k * k].reshape(-1, k, k) + _RIDGE * n * np.eye(k)
        solved: Array = np.linalg.solve(gram, sums[:, k * k :, None])[:, at, 0]
        return solved

    return [from_sums(columns, answers.prompt, partial(slope_at, at), seed=seed) for at in range(k)]


def _beside(places: Mapping[str, Array], answers: Answers, seed: int) -> dict[str, dict[str, Any]]:
    """Of each concept: its slope with the others held fixed, and the one that goes most with it."""
    if len(places) < 2:
        return {}
    names, values = list(places), np.stack(list(places.values()), axis=1)
    together: Array = np.atleast_2d(np.corrcoef(values.T))
    others = np.abs(together - np.eye(len(names))).argmax(1)
    slopes = held_fixed(values, answers, seed)
    return {
        name: {
            "held_fixed": slopes[at],
            "nearest": names[others[at]],
            "nearest_correlation": float(together[at, others[at]]),
        }
        for at, name in enumerate(names)
    }
