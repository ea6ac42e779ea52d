"""Rows about the round trip: a recovered reward, given to a fresh reference, against the true one.

1. Align the language world's reference with the planted (true) reward, at a price of KL beta.
2. Recover the reward from that pair: terms, in nats, that is reward / beta.
3. Align the reference afresh with what was recovered, at a price of one nat for each nat.
4. Hold both against the frontier: the most gold that any policy has at its KL, by reweighting
   answers of the reference.

    share kept at equal KL = (gold / frontier at the KL) of 3, over the same of 1

Both policies have a KL of their own; dividing by the frontier there compares them at equal KL.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from explain.jobs.result_rows import Making, Measured, mean_of_seeds, written
from irl.errors import InputError
from irl.jobs.align import AlignRun, align
from irl.jobs.align_settings import AlignSettings
from irl.jobs.any_recovery import recover
from irl.organisms.answers_of_world import REFERENCE, answers_to, trained_prompts, unconditional
from irl.organisms.grammar import World
from irl.organisms.planted import Plant, plants
from irl.policies.template import PromptText
from irl.records import Estimate, ResultRow
from irl.rlhf.frontier import Frontier, frontier
from irl.rlhf.watch import Array, Read

_TOO_FAR = "the KL is beyond what reweighted answers of the reference tell"


class RoundTripRecipe(BaseModel):
    """Which objectives, at which prices, how often."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["round-trip"]
    objectives: tuple[str, ...]
    "of the language world of seed 0, without a condition"
    betas: tuple[float, ...]
    seeds: tuple[int, ...]
    prompts: int
    "to train on and to watch"
    align: dict[str, Any]
    "settings of every `irl align`"
    recover: dict[str, Any]
    "settings of every `irl recover`"
    frontier_prompts: int
    frontier_answers: int


@dataclass(frozen=True)
class _Trip:
    """Gold gains and KLs at the end, and what the frontier has there."""

    taught: tuple[float, float]
    "(gold gain, KL) of the policy that was trained on the true reward"
    back: tuple[float, float]
    "of the one that was trained on what was recovered from it"
    bound: Frontier

    @property
    def shares(self) -> tuple[float, float] | None:
        """Of the frontier, that each has at its own KL; None where the answers do not tell it."""
        try:
            taught, back = (gain / self.bound.at(kl) for gain, kl in (self.taught, self.back))
        except InputError:
            return None
        return taught, back

    @property
    def kept(self) -> float | None:
        """At equal KL."""
        return None if self.shares is None else self.shares[1] / self.shares[0]


def round_trip_rows(recipe: RoundTripRecipe, making: Making) -> list[ResultRow]:
    """Every trip; finished runs are reused.

    Raises:
        InputError: there is no such objective, or the frontier does not reach so far.
    """
    known = plants(World.draw(0))
    rows = trained_prompts(0, recipe.prompts)
    prompts = written(making.folder / "prompts.jsonl", rows)
    asked = [row["prompt"] for row in rows[: recipe.frontier_prompts]]
    making.say("drawing answers of the reference")
    answers = answers_to(asked, recipe.frontier_answers, seed=1)
    found: list[ResultRow] = []
    every: list[_Trip] = []
    for objective in recipe.objectives:
        plant = unconditional(known, objective)
        gold = _gold(plant)
        bound = frontier(list(gold(answers, []).reshape(len(asked), -1)))
        for beta in recipe.betas:
            trips = []
            for seed in recipe.seeds:
                making.say(f"{objective}, beta {beta:g}: seed {seed}")
                trips.append(_trip(recipe, making.folder, prompts, plant, (beta, seed), bound))
            found += _rows_of(Measured(f"{objective}, beta {beta:g}", list(recipe.seeds)), trips)
            every += trips
    return [*found, _kept(Measured("all", list(recipe.seeds)), every)]


def _rows_of(of: Measured, trips: list[_Trip]) -> Iterator[ResultRow]:
    for at, method in enumerate(("true reward", "recovered reward")):
        ends = [(trip.taught, trip.back)[at] for trip in trips]
        gains = mean_of_seeds([gain for gain, _ in ends])
        yield of.row(method, "gold gain", "units of the reward", gains)
        yield of.row(method, "KL", "nats", mean_of_seeds([kl for _, kl in ends]))
        shares = [trip.shares[at] for trip in trips if trip.shares is not None]
        yield of.row(method, "of the frontier at its KL", "share", _mean(shares), _TOO_FAR)
    yield _kept(of, trips)


def _kept(of: Measured, trips: list[_Trip]) -> ResultRow:
    kept = [trip.kept for trip in trips if trip.kept is not None]
    return of.row("round trip", "kept at equal KL", "share", _mean(kept), _TOO_FAR)


def _mean(values: list[float]) -> Estimate | None:
    return mean_of_seeds(values) if values else None


def _trip(
    recipe: RoundTripRecipe,
    folder: Path,
    prompts: Path,
    plant: Plant,
    case: tuple[float, int],
    bound: Frontier,
) -> _Trip:
    beta, seed = case
    name = f"{plant.name}-{beta:g}-{seed}"
    true = folder / f"true-{plant.name}"
    plant.prices.save(true, "terms")
    common = {"policy": str(REFERENCE), "prompts": str(prompts), "seed": seed}
    taught = _aligned(recipe, folder / f"{name}-true", plant, common, true, beta)
    recovered = recover(
        out=folder / f"{name}-recovered",
        aligned=str(taught.policy),
        reference=str(REFERENCE),
        prompts=str(prompts),
        seed=seed,
        **recipe.recover,
    )
    back = _aligned(
        recipe, folder / f"{name}-back", plant, common, recovered.run.path / "reward", 1.0
    )
    return _Trip(_end(taught), _end(back), bound)


def _aligned(
    recipe: RoundTripRecipe,
    run: Path,
    plant: Plant,
    common: dict[str, Any],
    reward: Path,
    beta: float,
) -> AlignRun:
    given = recipe.align | common | {"reward": str(reward), "beta": beta}
    return align(AlignSettings.checked(given), run, gold=_gold(plant))


def _end(done: AlignRun) -> tuple[float, float]:
    last = done.report.last
    assert last.gold is not None
    return last.gold.value, last.kl_nats.value


def _gold(plant: Plant) -> Read:
    def planted(texts: Sequence[str], _: Sequence[PromptText]) -> Array:
        paid: Array = np.asarray(plant.reward(texts, [True] * len(texts)), dtype=np.float64)
        return paid

    return planted
