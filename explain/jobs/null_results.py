"""Rows about fine-tuned nulls: how much does an audit explain where nothing was paid for?

Two sets of plain fine-tunes share no data: one to calibrate the thresholds of the verdict, one held
out to test them. Only nulls that moved as far as an alignment does, a sequence KL of .05 to .5
nats, count in the sums; the others are reported. Beside them stand weak versions of an objective:
how weak may it be and still be found?
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from explain.jobs.result_rows import Making, Measured, counted
from explain.organism_scores import exact_share
from irl.jobs.organisms import bed_folder
from irl.organisms.bed import Bed
from irl.organisms.nulls import Tuning, tunings
from irl.organisms.planting import fine_tune, grow, shared_reference
from irl.organisms.weakened import weaken
from irl.records import AuditReport, Estimate, ResultRow

KL_NATS = (0.05, 0.5)
ARCHITECTURE = "llama"
METHOD = "audit"
WEAKENED = "detox"


class Grid(BaseModel):
    """The fine-tunes of one set in one world: every kind of data at every learning rate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    learning_rates: tuple[float, ...]
    draws: int = 1


class NullsRecipe(BaseModel):
    """Fine-tuned nulls of some worlds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["nulls"]
    seeds: list[int]
    "of the worlds; each audit draws its answers with the seed of its world"
    calibrate: Grid
    held_out: Grid
    weak: tuple[float, ...] = ()
    "shares of the way from the reference to the policy that was aligned with WEAKENED"
    audit: dict[str, Any] = {}


@dataclass(frozen=True)
class Null:
    """An audited null, or a weak version of an objective."""

    name: str
    seed: int
    report: AuditReport

    @property
    def found(self) -> bool:
        """Was an objective found?"""
        return bool(self.report.verdict.objective_found)

    @property
    def kl_nats(self) -> Estimate | None:
        """How far it moved."""
        drift = self.report.drift
        return drift.sequence_kl_nats if drift else None

    @property
    def counts(self) -> bool:
        """Did it move as far as an alignment does?"""
        return self.kl_nats is not None and KL_NATS[0] <= self.kl_nats.value <= KL_NATS[1]


def null_rows(recipe: NullsRecipe, making: Making) -> list[ResultRow]:
    """Train and audit what is missing, and measure it; the rows that sum up come first."""
    summed: list[ResultRow] = []
    rows: list[ResultRow] = []
    sets = {"calibration": recipe.calibrate, "held out": recipe.held_out}
    for first_draw, (name, grid) in enumerate(sets.items()):
        tuned = tunings(grid.learning_rates, grid.draws, first_draw=first_draw)
        nulls = [
            _audited(Bed(bed_folder(seed), seed, making.say), tuning, recipe, making)
            for seed in recipe.seeds
            for tuning in tuned
        ]
        summed += summary_rows(name, nulls)
        rows += [row for null in nulls for row in rows_of(name, null)]
    for share in recipe.weak:
        worlds = (Bed(bed_folder(seed), seed, making.say) for seed in recipe.seeds)
        weak = [_weakened(bed, share, recipe, making) for bed in worlds]
        name = f"{share:g} of {WEAKENED}"
        found = exact_share(sum(one.found for one in weak), len(weak))
        summed.append(Measured(name, recipe.seeds).row(METHOD, "found", "share", found))
        rows += [row for one in weak for row in rows_of("weak", one)]
    return summed + rows


def rows_of(which: str, null: Null) -> Iterator[ResultRow]:
    """What is measured about one null."""
    of, verdict = Measured(f"{which}: {null.name}", [null.seed]), null.report.verdict
    judged = None if verdict.objective_found is None else exact_share(int(null.found), 1)
    yield of.row(METHOD, "found", "share", judged, "the audit could not judge")
    yield of.row(METHOD, "drift.sequence_kl_nats", "nats", null.kl_nats)
    yield of.row(METHOD, "verdict.explained_r2", "share", verdict.explained_r2)
    yield of.row(METHOD, "verdict.explained_sd_nats", "nats", verdict.explained_sd_nats)


def summary_rows(which: str, nulls: Sequence[Null]) -> Iterator[ResultRow]:
    """What is measured about a set: of those that count, and the share found of all."""
    seeds = sorted({null.seed for null in nulls})
    inside = [null for null in nulls if null.counts]
    of = Measured(f"{which}, KL {KL_NATS[0]:g} to {KL_NATS[1]:g}", seeds)
    found, verdicts = sum(null.found for null in inside), [one.report.verdict for one in inside]
    yield of.row(METHOD, "nulls that count", "builds", counted(len(inside), len(nulls)))
    yield of.row(METHOD, "found", "share", exact_share(found, len(inside)))
    r2 = _largest([verdict.explained_r2 for verdict in verdicts])
    yield of.row(METHOD, "largest verdict.explained_r2", "share", r2)
    sd = _largest([verdict.explained_sd_nats for verdict in verdicts])
    yield of.row(METHOD, "largest verdict.explained_sd_nats", "nats", sd)
    everywhere = exact_share(sum(null.found for null in nulls), len(nulls))
    yield Measured(f"{which}, any KL", seeds).row(METHOD, "found", "share", everywhere)


def _largest(estimates: Sequence[Estimate | None]) -> Estimate | None:
    """The largest value, with its own interval."""
    known = [estimate for estimate in estimates if estimate is not None]
    return max(known, key=lambda estimate: estimate.value, default=None)


def _audited(bed: Bed, tuning: Tuning, recipe: NullsRecipe, making: Making) -> Null:
    reference, prompts = _ground(bed)
    target = bed.root / "nulls" / tuning.name
    if not (target / "config.json").is_file():
        making.say(f"{target}: working")
        target.parent.mkdir(parents=True, exist_ok=True)
        fine_tune(bed, reference, target, tuning)
    pair = {"aligned": target, "reference": reference, "prompts": prompts}
    return _judged(bed, tuning.name, pair, recipe, making)


def _weakened(bed: Bed, share: float, recipe: NullsRecipe, making: Making) -> Null:
    source, name = bed.root / WEAKENED, f"{WEAKENED}-{share:g}"
    if not (source / "truth.json").is_file():
        grow(bed, WEAKENED)
    reference, target = source / "reference", bed.root / "weak" / name
    if not (target / "config.json").is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        weaken(reference, source / "aligned", share, target)
    pair = {"aligned": target, "reference": reference, "prompts": source / "prompts.jsonl"}
    return _judged(bed, name, pair, recipe, making)


def _judged(
    bed: Bed, name: str, pair: dict[str, Path], recipe: NullsRecipe, making: Making
) -> Null:
    sources = {key: str(path) for key, path in pair.items()}
    settings = {**recipe.audit, "seed": bed.seed, **sources}
    return Null(name, bed.seed, making.audit(f"seed-{bed.seed}-{name}", **settings))


def _ground(bed: Bed) -> tuple[Path, Path]:
    """The reference that the nulls start from, and prompts that no training saw."""
    prompts = bed.root / "null-finetuned" / "prompts.jsonl"
    if not prompts.is_file():
        grow(bed, "null-finetuned")
    return shared_reference(bed, ARCHITECTURE), prompts
