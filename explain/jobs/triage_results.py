"""Rows about triage: does each detector find what is planted for it, and what else would?

For every seed, preferences of the language world's reference as a planted objective labels them,
and an ensemble on them. Planted are: answers out of distribution, of several kinds, among fresh
answers of the reference to the same prompts; pairs that the planted objective does not tell apart,
among pairs that it does; and pairs that both say a spurious word, where labels were turned before
heads were fitted. Scores are compared within seeds; intervals draw prompts of all seeds again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from explain.jobs.result_rows import Making, Measured, counted, written
from irl.bootstrap import share
from irl.evaluation.accuracy import wins
from irl.evaluation.auc import grouped_auc
from irl.evaluation.pair_figures import mean_of
from irl.evaluation.planted_detectors import (
    EmbeddedPairs,
    learnt,
    planted_words,
    rate_of_other_half,
    shuffled,
)
from irl.evaluation.triage import margin
from irl.evaluation.trust import probability, spread
from irl.jobs.ensemble import fit_ensemble
from irl.jobs.ensemble_settings import EnsembleSettings
from irl.jobs.trust_answers import nats_of_data
from irl.jobs.trust_grounds import Grounds, grounds_of
from irl.jobs.trust_policies import Policies
from irl.jobs.trust_settings import TrustSettings
from irl.jobs.trust_surroundings import Surroundings, surroundings_of
from irl.organisms.answers_of_world import (
    REFERENCE,
    answers_of_another_world,
    answers_to,
    judged_prompts,
    labelled_pairs,
    unconditional,
)
from irl.organisms.grammar import World
from irl.organisms.planted import Plant, plants
from irl.policies.checkpoint import locate
from irl.policies.encoder import of_policy
from irl.policies.load import load_full
from irl.records import Estimate, ResultRow
from irl.rewards.terms import count_terms
from irl.rewards.words import words

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
AUC = "AUC"
FAR, TIED, ZONE = "out of distribution", "boundary", "locally wrong"


class TriageRecipe(BaseModel):
    """Which objective, and how much."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["triage"]
    objective: str
    "of the language world of seed 0"
    seeds: tuple[int, ...]
    pair_prompts: int
    "prompts with two pairs each, to fit the ensemble to"
    ensemble: dict[str, Any]
    judged_prompts: int
    trust: dict[str, Any] = {}
    "settings of `irl trust`"


@dataclass(frozen=True)
class Scored:
    """One detector's scores of one planting."""

    case: str
    planted: str
    detector: str
    scores: Array
    high: NDArray[np.bool_]
    "what was planted"
    cluster: Codes


@dataclass(frozen=True)
class _Stand:
    seed: int
    plant: Plant
    grounds: Grounds
    around: Surroundings
    policies: Policies
    prompts: list[Any]
    answers: list[str]
    "of the reference, two to each prompt"
    k: int


def triage_rows(recipe: TriageRecipe, making: Making) -> list[ResultRow]:
    """Every planting over all seeds.

    Raises:
        InputError: there is no such objective.
    """
    found: list[list[Scored]] = []
    turned: list[list[Scored]] = []
    zones: list[tuple[Array, Codes]] = []
    checks: list[ResultRow] = []
    for seed in recipe.seeds:
        making.say(f"seed {seed}")
        stand = _stand(recipe, seed, making)
        wrong, zone = _zone(stand)
        zones.append(zone)
        turned.append(wrong)
        found.append([*_far(stand), *_tied(stand)])
        checks += _printed(stand)
    seeds = list(recipe.seeds)
    return [*auc_rows(found, seeds), *zone_rows(zones, turned, seeds), *checks]


def auc_rows(
    found: Sequence[Sequence[Scored]], seeds: list[int], missing: str = ""
) -> Iterator[ResultRow]:
    """Each detector on each planting, within seeds.

    Args:
        found: of every seed.
        seeds: which.
        missing: why nothing was planted, though it was tried; then there are no figures.
    """
    of_kind: dict[tuple[str, str, str], list[Scored]] = {}
    for row in found:
        for one in row:
            of_kind.setdefault((one.case, one.planted, one.detector), []).append(one)
    for (case, planted, detector), scored in of_kind.items():
        of = Measured(f"{case}: {planted}", seeds)
        estimate = None if missing else _auc(scored)
        yield of.row(detector, AUC, "", estimate, missing or "nothing was planted in any seed")


def _auc(scored: Sequence[Scored]) -> Estimate | None:
    group = np.repeat(np.arange(len(scored)), [len(one.scores) for one in scored])
    clusters = [one.cluster + at * 1_000_000 for at, one in enumerate(scored)]
    scores = np.concatenate([one.scores for one in scored])
    high = np.concatenate([one.high for one in scored])
    return grouped_auc(scores, high, group, np.concatenate(clusters))


def zone_rows(
    zones: Sequence[tuple[Array, Codes]], turned: Sequence[Sequence[Scored]], seeds: list[int]
) -> Iterator[ResultRow]:
    """How right the heads are where labels were turned; and who finds that, if they are wrong.

    Args:
        zones: of every seed, 1 for each pair there that is ranked rightly, and its prompt.
        turned: the detectors.
        seeds: which.
    """
    right = np.concatenate([one for one, _ in zones])
    cluster = np.concatenate([c + at * 1_000_000 for at, (_, c) in enumerate(zones)])
    of = Measured(f"{ZONE}: labels turned where both answers say a word", seeds)
    accuracy = share(mean_of(right, cluster))
    yield of.row("heads", "accuracy there", "share", accuracy)
    yield of.row("heads", "pairs there", "pairs", counted(len(right), len(right)))
    wrong = accuracy is not None and accuracy.high < 0.5
    yield from auc_rows(turned, seeds, "" if wrong else "heads are not wrong there")


def _printed(stand: _Stand) -> Iterator[ResultRow]:
    of = Measured("as every run prints it", [stand.seed])
    for one in stand.around.detectors:
        yield of.row(one.name, f"{AUC}, {one.planted}", "", one.auc, one.reason or "")


def _far(stand: _Stand) -> Iterator[Scored]:
    """Answers of several kinds that the reference does not give, beside its own."""
    texts, prompts = stand.answers, stand.prompts
    at = np.arange(len(texts))
    order, there = shuffled(texts, stand.seed)
    generator = np.random.default_rng(stand.seed)
    every = [piece for text in texts for piece in text.split()]
    lengths = [len(text.split()) for text in texts]
    salad = [" ".join(generator.choice(every, n)) for n in lengths]
    elsewhere = np.roll(at, 2)  # types of prompts take turns
    kinds: dict[str, tuple[Sequence[str], Codes]] = {
        "words in another order": (order, there),
        "words drawn by frequency": (salad, at),
        "answers of another world's grammar": (
            answers_of_another_world(stand.seed + 1, len(texts)),
            at,
        ),
        "answers to prompts of another type": ([texts[one] for one in elsewhere], at),
    }
    own = _detected(stand, texts, prompts)
    for planted, (others, where) in kinds.items():
        theirs = _detected(stand, others, [prompts[one] for one in where])
        cluster = np.concatenate([where // 2, at // 2])
        high = np.arange(len(cluster)) < len(where)
        for detector, scores in theirs.items():
            both = np.concatenate([scores, own[detector]])
            yield Scored(FAR, planted, detector, both, high, cluster)


def _detected(stand: _Stand, texts: Sequence[str], prompts: Sequence[Any]) -> dict[str, Array]:
    """What might tell that answers are unlike anything known: large where it does."""
    vectors = stand.around.encoder.encode(prompts, texts)
    scores = stand.grounds.ensemble.members(texts, prompts).double().numpy()
    nats = nats_of_data(stand.policies, texts, prompts, "auto")
    return {
        "distance": stand.around.distance(vectors),
        "spread of members": spread(scores),
        "unlikely to the reference (itself a density)": -nats,
    }


def _tied(stand: _Stand) -> Iterator[Scored]:
    """Pairs of the reference's answers that the objective does not tell apart."""
    gold = stand.plant.reward(stand.answers, [True] * len(stand.answers)).reshape(-1, 2)
    scores = stand.grounds.ensemble.members(stand.answers, stand.prompts).double().numpy()
    margins = np.subtract(*np.moveaxis(scores.reshape(len(scores), -1, 2), -1, 0))
    same = [
        one == other for one, other in zip(stand.answers[::2], stand.answers[1::2], strict=True)
    ]
    kept = ~np.array(same)
    p = probability(margins, stand.grounds.scale).mean(0)
    found = {
        "small margin": -margin(p),
        "spread of members": spread(margins),
        "distance": _distance_of_pairs(stand),
    }
    ties = gold[:, 0] == gold[:, 1]
    cluster = np.arange(len(ties))
    for detector, values in found.items():
        yield Scored(TIED, "exact ties", detector, values[kept], ties[kept], cluster[kept])


def _distance_of_pairs(stand: _Stand) -> Array:
    vectors = stand.around.encoder.encode(stand.prompts, stand.answers)
    both: Array = stand.around.distance(vectors).reshape(-1, 2).mean(1)
    return both


def _zone(stand: _Stand) -> tuple[list[Scored], tuple[Array, Codes]]:
    """Heads on turned labels: the zone, its errors, and how right the heads are there."""
    fitted, held = stand.around.fitted.pairs(stand.seed), stand.around.held.pairs(stand.seed)
    plant = planted_words(fitted)
    assert plant is not None
    spurious = plant[1]
    turned, zone = (_both_say(one, spurious) for one in (fitted, held))
    golds = [stand.plant.reward(one.texts, [True] * len(one.texts)) for one in (fitted, held)]
    margins = learnt(stand.around.known, (fitted, held), golds[0], turned)
    assert margins is not None
    told = held.differences(golds[1])
    mean = margins.mean(0)
    wrong = np.where(told == 0, np.nan, mean * told < 0)
    rate = rate_of_other_half(stand.around.known, held, wrong, stand.k)
    tested = np.isfinite(rate) & np.isfinite(wrong)
    cluster = held.pair_cluster
    about = "labels turned where both answers say a word"
    detectors = {"local error": rate, "small margin": -np.abs(mean), "spread": spread(margins)}
    found = []
    for name, values in detectors.items():
        for planted, high in ((about, zone), (f"{about}, pairs ranked wrongly", wrong == 1)):
            found.append(Scored(ZONE, planted, name, values[tested], high[tested], cluster[tested]))
    inside = zone & (told != 0)
    return found, (wins((mean * np.sign(told))[inside]), cluster[inside])


def _both_say(pairs: EmbeddedPairs, word: str) -> NDArray[np.bool_]:
    said = count_terms(pairs.texts, [word]).toarray()[:, 0] > 0
    both: NDArray[np.bool_] = said[pairs.first] & said[pairs.second]
    return both


def _stand(recipe: TriageRecipe, seed: int, making: Making) -> _Stand:
    file, run = making.folder / f"pairs-{seed}.jsonl", making.folder / f"ensemble-{seed}"
    if not file.is_file():  # other threads may draw other answers
        written(file, labelled_pairs(0, recipe.objective, recipe.pair_prompts, draw=seed))
    named = {"preferences": str(file), "features": "embeddings", "base": str(REFERENCE)}
    fit_ensemble(EnsembleSettings.checked(recipe.ensemble | named | {"seed": seed}), run)
    grounds = grounds_of(str(run))
    given = {"reward": str(run), "policy": "the reference", "seed": seed, **recipe.trust}
    settings = TrustSettings.checked(given)
    data = load_full(locate(str(REFERENCE)), settings.loading)
    asked = [row["prompt"] for row in judged_prompts(0, recipe.judged_prompts)]
    texts = answers_to(asked, 2, seed)
    kept = [at for at in range(0, len(texts), 2) if all(words(one) for one in texts[at : at + 2])]
    return _Stand(
        seed=seed,
        plant=unconditional(plants(World.draw(0)), recipe.objective),
        grounds=grounds,
        around=surroundings_of(grounds, of_policy(data), settings),
        policies=Policies(None, (data,)),
        prompts=[asked[at // 2] for at in kept for _ in range(2)],
        answers=[texts[at + one] for at in kept for one in range(2)],
        k=settings.neighbours,
    )
