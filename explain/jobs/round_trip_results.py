"""Rows about round trips: a recovered reward, given to a fresh reference, against the true one.

1. Align the language world's reference with the planted (true) reward, at a price of KL beta.
2. Recover the reward from that pair: terms, in nats, that is reward / beta.
3. Align the reference afresh with what was recovered, at a price of one nat for each nat.
4. Hold both against the frontier: the most gold that any policy has at its KL, by reweighting
   answers of the reference.
5. Where more rounds are asked for: recover from the policy of 3, and go on there. Does it hold?

    share kept at equal KL = (gold / frontier at the KL) of 3, over the same of 1

Both policies have a KL of their own; dividing by the frontier there compares them at equal KL. How
far the reward itself has drifted after each round is told on the reference's answers, centred
within prompts: its correlation with the true reward, and its slope on true reward / beta, 1 where
nothing was lost.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from explain.jobs.real_trip_results import RealTrip, real_trip_rows
from explain.jobs.result_rows import Making, Measured, mean_of_seeds, mean_within, written
from irl.jobs.align import AlignRun, align
from irl.jobs.align_settings import AlignSettings
from irl.jobs.any_recovery import recover
from irl.jobs.named_reward import named_reward
from irl.organisms.answers_of_world import (
    REFERENCE,
    answers_to,
    planted_gold,
    trained_prompts,
    unconditional,
)
from irl.organisms.grammar import World
from irl.organisms.planted import Plant, plants
from irl.records import Estimate, ResultRow
from irl.rlhf.frontier import Frontier, frontier

_TOO_FAR = "the KL is beyond what reweighted answers of the reference tell"


class Price(BaseModel):
    """One price of KL, and how often a policy is trained on what was recovered from the last."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    beta: float
    "in units of the true reward"
    rounds: int = Field(1, ge=1)


class RoundTripRecipe(BaseModel):
    """Which objectives, at which prices, how often."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["round-trip"]
    objectives: tuple[str, ...]
    "of the language world of seed 0, without a condition"
    prices: tuple[Price, ...]
    seeds: tuple[int, ...]
    prompts: int
    "to train on and to watch"
    align: dict[str, Any]
    "settings of every `irl align`"
    recover: dict[str, Any]
    "settings of every `irl recover`"
    frontier_prompts: int
    frontier_answers: int
    real: RealTrip | None = None
    "the same on real text"


@dataclass(frozen=True)
class _End:
    """Where a policy ended."""

    gain: float
    "of gold, over the reference"
    kl_nats: float


@dataclass(frozen=True)
class _Round:
    """What was recovered, and the policy that was trained on it."""

    end: _End
    correlation: float
    "of what was recovered with the true reward"
    slope: float
    "on true reward / beta"


@dataclass(frozen=True)
class _Trip:
    """A policy that was trained on the true reward, and those that followed from it."""

    taught: _End
    rounds: tuple[_Round, ...]
    bound: Frontier

    def share(self, end: _End) -> float | None:
        """Of the frontier at its KL; None where the answers do not tell it."""
        return self.bound.share(end.gain, end.kl_nats)

    def kept(self, number: int) -> float | None:
        """Of the taught policy's share, by the policy of a round."""
        taught, back = self.share(self.taught), self.share(self.rounds[number].end)
        return None if not taught or back is None else back / taught


def round_trip_rows(recipe: RoundTripRecipe, making: Making) -> list[ResultRow]:
    """Every trip; finished runs are reused.

    Raises:
        InputError: there is no such objective, or the frontier does not reach so far.
    """
    real = [] if recipe.real is None else real_trip_rows(recipe.real, making)
    known = plants(World.draw(0))
    rows = trained_prompts(0, recipe.prompts)
    prompts = written(making.folder / "prompts.jsonl", rows)
    asked = [row["prompt"] for row in rows[: recipe.frontier_prompts]]
    making.say("drawing answers of the reference")
    answers = answers_to(asked, recipe.frontier_answers, seed=1)
    found: list[ResultRow] = []
    every: list[_Trip] = []
    for objective in recipe.objectives:
        gold = planted_gold(unconditional(known, objective))
        true = gold(answers, []).reshape(len(asked), -1)
        way = _Way(recipe, making.folder, prompts, unconditional(known, objective), answers)
        bound = frontier(list(true))
        for price in recipe.prices:
            trips = []
            for seed in recipe.seeds:
                making.say(f"{objective}, beta {price.beta:g}: seed {seed}")
                trips.append(way.trip(price, seed, bound))
            case = f"{objective}, beta {price.beta:g}"
            found += _rows_of(Measured(case, list(recipe.seeds)), trips)
            every += trips
    all_of_them = _kept(Measured("all", list(recipe.seeds)), every, 0)
    return [*found, all_of_them, *real]


def _rows_of(of: Measured, trips: list[_Trip]) -> Iterator[ResultRow]:
    yield from _ends(of, "true reward", trips, [trip.taught for trip in trips])
    for at in range(len(trips[0].rounds)):
        method, rounds = f"round {at + 1}", [trip.rounds[at] for trip in trips]
        yield from _ends(of, method, trips, [one.end for one in rounds])
        yield _kept(of, trips, at)
        told = mean_within([one.correlation for one in rounds], -1.0, 1.0)
        yield of.row(method, "correlation with the true reward", "correlation", told)
        slopes = mean_of_seeds([one.slope for one in rounds])
        yield of.row(method, "slope on true reward / beta", "nats per nat", slopes)


def _ends(of: Measured, method: str, trips: list[_Trip], ends: list[_End]) -> Iterator[ResultRow]:
    gains = mean_of_seeds([end.gain for end in ends])
    yield of.row(method, "gold gain", "units of the reward", gains)
    yield of.row(method, "KL", "nats", mean_of_seeds([end.kl_nats for end in ends]))
    shares = [trip.share(end) for trip, end in zip(trips, ends, strict=True)]
    yield of.row(method, "of the frontier at its KL", "share", _mean(shares), _TOO_FAR)


def _kept(of: Measured, trips: list[_Trip], number: int) -> ResultRow:
    kept = _mean([trip.kept(number) for trip in trips])
    return of.row(f"round {number + 1}", "kept at equal KL", "share", kept, _TOO_FAR)


def _mean(values: Sequence[float | None]) -> Estimate | None:
    told = [value for value in values if value is not None]
    return mean_of_seeds(told) if told else None


@dataclass(frozen=True)
class _Way:
    """What all trips for one objective share."""

    recipe: RoundTripRecipe
    folder: Path
    prompts: Path
    plant: Plant
    answers: Sequence[str]
    "of the reference, prompt after prompt"

    def trip(self, price: Price, seed: int, bound: Frontier) -> _Trip:
        """There and back, as often as the price says."""
        name = f"{self.plant.name}-{price.beta:g}-{seed}"
        true = self.folder / f"true-{self.plant.name}"
        self.plant.prices.save(true, "terms")
        last = taught = self._aligned(f"{name}-true", true, price.beta, seed)
        rounds = []
        for number in range(1, price.rounds + 1):
            suffix = "" if number == 1 else f"-{number}"
            recovered = recover(
                out=self.folder / f"{name}-recovered{suffix}",
                aligned=str(last.policy),
                reference=str(REFERENCE),
                prompts=str(self.prompts),
                seed=seed,
                **self.recipe.recover,
            )
            found = recovered.run.path / "reward"
            last = self._aligned(f"{name}-back{suffix}", found, 1.0, seed)
            rounds.append(self._round(last, found, price.beta))
        return _Trip(_end(taught), tuple(rounds), bound)

    def _aligned(self, name: str, reward: Path, beta: float, seed: int) -> AlignRun:
        named = {"policy": str(REFERENCE), "prompts": str(self.prompts), "seed": seed}
        given = self.recipe.align | named | {"reward": str(reward), "beta": beta}
        return align(
            AlignSettings.checked(given), self.folder / name, gold=planted_gold(self.plant)
        )

    def _round(self, back: AlignRun, found: Path, beta: float) -> _Round:
        recovered = named_reward(str(found))(self.answers, [])
        true = planted_gold(self.plant)(self.answers, []) / beta
        mine, planted = (
            values.reshape(self.recipe.frontier_prompts, -1) for values in (recovered, true)
        )
        mine, planted = (each - each.mean(1, keepdims=True) for each in (mine, planted))
        shared = float((mine * planted).sum())
        spread = float((mine**2).sum() * (planted**2).sum())
        return _Round(
            end=_end(back),
            correlation=shared / spread**0.5 if spread else 0.0,
            slope=shared / float((planted**2).sum()),
        )


def _end(done: AlignRun) -> _End:
    last = done.report.last
    assert last.gold is not None
    return _End(last.gold.value, last.kl_nats.value)
