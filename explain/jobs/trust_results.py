"""Rows about trust: which forecast of a reward's error on a policy is right, and the light.

For every seed, preferences of the language world's reference as a planted objective labels them,
and an ensemble on them. Policies are trained for that ensemble (with a price of KL, and without),
on the same preferences by DPO, or lie on the line through the reference and one of those. What they
are worth is known: the error is |gain of the ensemble - gain of the planted reward|, each in
standard deviations of the reference's answers. A forecast is judged by its rank correlation with
the error over policies; KL is the baseline. Intervals draw policies and seeds again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.stats import rankdata

from explain.jobs.result_rows import Making, Measured, counted, mean_within, written
from explain.jobs.trust_policies import Stand, Trained, walked
from irl.bootstrap import DRAWS, percentile_estimate
from irl.data import read_prompts
from irl.evaluation.trust import lamp
from irl.jobs.ensemble import fit_ensemble
from irl.jobs.ensemble_settings import EnsembleSettings
from irl.jobs.trust import Examined, examined
from irl.jobs.trust_answers import Asked
from irl.jobs.trust_grounds import grounds_of
from irl.jobs.trust_policies import Policies
from irl.jobs.trust_settings import TrustSettings
from irl.jobs.trust_surroundings import surroundings_of
from irl.organisms.answers_of_world import (
    REFERENCE,
    judged_prompts,
    labelled_pairs,
    planted_gold,
    trained_prompts,
    unconditional,
)
from irl.organisms.grammar import World
from irl.organisms.planted import plants
from irl.policies.checkpoint import locate
from irl.policies.encoder import of_policy
from irl.policies.load import load_full
from irl.records import Estimate, ResultRow
from irl.rlhf.watch import Read

Array = NDArray[np.float64]
KL = "KL (the baseline)"
FORECASTS = (
    KL,
    "1 - effective share",
    "epistemic variance",
    "aleatoric variance",
    "spread of members",
    "distance",
    "share beyond",
    "reward gained",
)
SHOWN = ("epistemic variance", "spread of members", "share beyond")
"Of every policy, beside KL"


class TrustRecipe(BaseModel):
    """Which objective, ensemble and policies."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["trust"]
    objective: str
    "of the language world of seed 0"
    seeds: tuple[int, ...]
    pair_prompts: int
    "prompts with two pairs each, to fit the ensemble to"
    ensemble: dict[str, Any]
    prompts: int
    "to train on"
    align: dict[str, Any]
    "settings of every `irl align`"
    trust: dict[str, Any]
    "settings of `irl trust`"
    policies: tuple[Trained, ...]
    collapsed: tuple[str, ...]
    "policies that a green light would be a fault for"


@dataclass(frozen=True)
class _Found:
    """One policy of one seed."""

    policy: str
    forecasts: dict[str, float]
    error: float
    light: str


def trust_rows(recipe: TrustRecipe, making: Making) -> list[ResultRow]:
    """Every policy under every seed; finished trainings are reused.

    Raises:
        InputError: there is no such objective.
    """
    found = [list(_of_seed(recipe, seed, making)) for seed in recipe.seeds]
    of = Measured(f"{len(found[0])} policies, {recipe.objective}", list(recipe.seeds))
    return [*agreement_rows(of, found), *_light_rows(of, recipe, found), *_policies(recipe, found)]


def agreement_rows(of: Measured, found: Sequence[Sequence[_Found]]) -> Iterator[ResultRow]:
    """Each forecast's rank correlation with the error, and how much it is above that of KL."""
    errors = np.array([[one.error for one in row] for row in found])
    forecasts = {
        name: np.array([[one.forecasts[name] for one in row] for row in found])
        for name in FORECASTS
    }
    for name, values in forecasts.items():
        metric = "rank correlation with the value error"
        yield of.row(name, metric, "", rank_agreement(values, errors))
        if name != KL:
            more = rank_agreement(values, errors, than=forecasts[KL])
            yield of.row(name, "rank correlation, more than KL's", "", more)


def rank_agreement(
    forecast: Array, error: Array, than: Array | None = None, seed: int = 0
) -> Estimate | None:
    """Spearman's correlation over policies, mean over seeds, [seed, policy]; n counts policies.

    Args:
        forecast: of the error.
        error: what it is.
        than: another forecast, whose correlation is taken away.
        seed: of the draws, which draw policies and seeds again.
    """
    generator = np.random.default_rng(seed)
    seeds, policies = error.shape
    rows = generator.integers(0, seeds, (DRAWS, seeds, 1))
    columns = generator.integers(0, policies, (DRAWS, 1, policies))
    drawn = _spearman(forecast[rows, columns], error[rows, columns])
    whole = _spearman(forecast, error)
    if than is not None:
        drawn = drawn - _spearman(than[rows, columns], error[rows, columns])
        whole = whole - _spearman(than, error)
    return percentile_estimate(float(whole), drawn, policies)


def _spearman(forecast: Array, error: Array) -> Array:
    """Over policies, mean over seeds, [..., seed, policy]."""
    x, y = (rankdata(one, axis=-1) for one in (forecast, error))
    x, y = (one - one.mean(-1, keepdims=True) for one in (x, y))
    with np.errstate(invalid="ignore", divide="ignore"):
        each = (x * y).sum(-1) / np.sqrt((x * x).sum(-1) * (y * y).sum(-1))
    result: Array = np.asarray(each.mean(-1))
    return result


def _light_rows(
    of: Measured, recipe: TrustRecipe, found: Sequence[Sequence[_Found]]
) -> Iterator[ResultRow]:
    every = [one for row in found for one in row]
    for colour in ("green", "amber", "red"):
        here = [one.error for one in every if one.light == colour]
        yield of.row(f"{colour} light", "policies", "", counted(len(here), len(every)))
        mean = _mean(here) if len(here) > 1 else None
        yield of.row(f"{colour} light", "value error", "sd", mean, "fewer than two such policies")
    worst = [one for one in every if one.policy in recipe.collapsed]
    fault = sum(one.light == "green" for one in worst)
    yield of.row("green light", "collapsed without KL", "policies", counted(fault, len(worst)))


def _policies(recipe: TrustRecipe, found: Sequence[Sequence[_Found]]) -> Iterator[ResultRow]:
    for row in zip(*found, strict=True):
        of = Measured(row[0].policy, list(recipe.seeds))
        yield of.row("policy", "value error", "sd", _mean([one.error for one in row]))
        for name, unit in ((KL, "nats"), *((name, "") for name in SHOWN)):
            values = [one.forecasts[name] for one in row]
            yield of.row("policy", name, unit, _mean(values))
        lights = {one.light for one in row}
        for colour in sorted(lights):
            n = sum(one.light == colour for one in row)
            yield of.row("policy", f"{colour} light", "seeds", counted(n, len(row)))


def _mean(values: Sequence[float]) -> Estimate:
    """Over seeds, of what is never negative."""
    return mean_within(values, 0.0, np.inf)


def _of_seed(recipe: TrustRecipe, seed: int, making: Making) -> Iterator[_Found]:
    stand = _stand(recipe, seed, making)
    grounds = grounds_of(str(stand.ensemble))
    settings = TrustSettings.checked(
        {"reward": str(stand.ensemble), "policy": "named", "seed": seed, **recipe.trust}
    )
    data = load_full(locate(str(REFERENCE)), settings.loading)
    around = surroundings_of(grounds, of_policy(data), settings)
    judged = judged_prompts(0, settings.prompt_limit or recipe.prompts)
    rows = read_prompts(written(making.folder / "judged.jsonl", judged)).rows
    asked = Asked(list(rows), None, (), "the policy", {})
    for trained in recipe.policies:
        with TemporaryDirectory() as scratch:
            for name, policy in walked(stand, trained, Path(scratch)):
                making.say(f"seed {seed}: {name}")
                one = examined(settings, grounds, around, Policies(policy, (data,)), asked)
                yield _judged(name, one, planted_gold(stand.plant))


def _judged(name: str, one: Examined, gold: Read) -> _Found:
    of = one.measures
    values = (
        of.kl_nats,
        of.effective_share,
        of.epistemic,
        of.aleatoric,
        of.spread,
        of.distance,
        of.beyond,
        of.reward_gain,
    )
    numbers = [np.nan if value is None else value.value for value in values]
    numbers[1] = 1 - numbers[1]
    forecasts = dict(zip(FORECASTS, numbers, strict=True))
    error = abs(forecasts["reward gained"] - gold_gain(one, gold))
    return _Found(name, forecasts, error, lamp(one.signals).colour)


def gold_gain(one: Examined, gold: Read) -> float:
    """Of the true reward, in standard deviations of the reference's answers to the same prompts."""
    ours = gold(one.ours.texts, one.ours.asked)
    theirs = gold(one.drawn.theirs.texts, one.drawn.theirs.asked)
    return float((ours.mean() - theirs.mean()) / theirs.std())


def _stand(recipe: TrustRecipe, seed: int, making: Making) -> Stand:
    plant = unconditional(plants(World.draw(0)), recipe.objective)
    pairs = labelled_pairs(0, recipe.objective, recipe.pair_prompts, draw=seed)
    file = making.folder / f"pairs-{seed}.jsonl"
    if not file.is_file():  # other threads may draw other answers
        written(file, pairs)
    prompts = written(making.folder / "prompts.jsonl", trained_prompts(0, recipe.prompts))
    named = {"preferences": str(file), "features": "embeddings", "base": str(REFERENCE)}
    settings = EnsembleSettings.checked(recipe.ensemble | named | {"seed": seed})
    run = making.folder / f"ensemble-{seed}"
    fit_ensemble(settings, run)
    return Stand(making.folder, seed, plant, run, pairs, prompts, recipe.align)
