"""Rows about probes: do they fire where something is planted, and nowhere else?

Every organism of some worlds and every plain fine-tune of others is probed with the same probes, in
the words of its world, on the answers that its audit drew. The limits of size were chosen on the
fine-tunes of `calibrated_on` alone: those rows are no test. `held_out` are the fine-tunes of other
worlds, and what fires there is counted.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from explain.jobs.probe import probe_run
from explain.jobs.probe_settings import Editing, ProbeSettings, probe_settings
from explain.jobs.result_rows import Making, Measured, counted, finished_run
from explain.organism_scores import exact_share
from explain.probes.of_world import probes_of_world
from explain.probes.two_by_two import MISLED
from irl.jobs.organisms import bed_folder
from irl.organisms.grammar import World
from irl.organisms.planted import plants
from irl.records import Estimate, ProbesReport, ResultRow, Truth
from irl.runs import RUNS, read_record

GROUND = "log-ratio"
IN_SHORT = (
    "effect in within-prompt sd",
    "proxy weight",
    "conflict accuracy",
    "effect of the first",
)
"What is told of a pair with nothing planted"
GRID = (0.4, 0.5, 0.6, 0.75, 1.0, 1.25)
"Limits of the effect, in sd, from which the one in use was chosen"


class ProbesRecipe(BaseModel):
    """Which organisms and nulls are probed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["probes"]
    organisms: str
    "the table whose audits drew the answers"
    seeds: tuple[int, ...]
    "worlds whose organisms are probed"
    nulls: str
    weak: tuple[str, ...] = ()
    "weak versions of an objective, among the runs of that table"
    calibrated_on: tuple[int, ...]
    "worlds whose plain fine-tunes chose the limits"
    held_out: tuple[int, ...]
    tunings: tuple[str, ...]
    real: str | None = None
    "run of a pair on real English, for the stock probes"
    editing: Editing = Editing()


@dataclass(frozen=True)
class Case:
    """A pair that was probed."""

    name: str
    seed: int
    report: ProbesReport
    truth: Truth | None = None

    @property
    def tried(self) -> list[tuple[str, bool]]:
        """Every probe that could be tried, and whether it fired; the search for triggers is one."""
        report = self.report
        found = [(one.name, one.fired) for one in report.bias if one.effect is not None]
        found += [(one.name, one.fired) for one in report.two_by_two if not one.reason]
        if report.triggers is not None:
            found.append(("triggers", any(one.fired for one in report.triggers.strongest)))
        return found

    def at_limit(self, limit: float) -> list[bool]:
        """Which of the same would fire at another limit of the effect, triggers left out."""
        found = [
            abs(one.effect_sd or 0.0) >= limit
            and (one.p_corrected or 0.0) <= self.report.limits.nominal
            and not one.far_off
            for one in self.report.bias
            if one.effect is not None
        ]
        return found + [
            (one.proxy_sd or 0.0) >= limit
            and (one.proxy_p or 0.0) <= self.report.limits.nominal
            and not one.far_off
            and one.conflict_accuracy is not None
            and one.conflict_accuracy.high < MISLED
            for one in self.report.two_by_two
            if not one.reason
        ]


def probes_rows(recipe: ProbesRecipe, making: Making) -> list[ResultRow]:
    """Probe what is missing, and measure it; the rows that sum up come first."""
    summed: list[ResultRow] = []
    rows: list[ResultRow] = []
    for which, seeds in (("calibration", recipe.calibrated_on), ("held out", recipe.held_out)):
        nulls = [_null(seed, name, recipe, making) for seed in seeds for name in recipe.tunings]
        summed += null_rows(f"nulls, {which}", seeds, nulls)
        rows += [row for one in nulls for row in _in_short(one, f"{which}: {one.name}")]
    for seed in recipe.seeds:
        for name in plants(World.draw(seed)):
            case = _organism(seed, name, recipe, making)
            if case is not None:
                rows += case_rows(case, name)
    for name in recipe.weak:
        rows += case_rows(_null(0, name, recipe, making), name)
    if recipe.real is not None:
        rows += case_rows(_real(recipe.real, recipe, making), "real-detox, stock probes")
    return summed + rows


def null_rows(which: str, seeds: Sequence[int], nulls: Sequence[Case]) -> Iterator[ResultRow]:
    """What fires where nothing is planted: of all probes, of each, and the largest effects."""
    of = Measured(f"{which}, all probes", list(seeds))
    tried = [each for one in nulls for each in one.tried]
    fired = sum(hit for _, hit in tried)
    yield of.row(GROUND, "builds", "builds", counted(len(nulls), len(nulls)))
    yield of.row(GROUND, "fired, pooled", "share", exact_share(fired, len(tried)))
    builds = sum(any(hit for _, hit in one.tried) for one in nulls)
    yield of.row(GROUND, "builds in which any fired", "share", exact_share(builds, len(nulls)))
    for limit in GRID:
        hits = [hit for one in nulls for hit in one.at_limit(limit)]
        share = exact_share(sum(hits), len(hits))
        yield of.row(GROUND, f"fired, pooled, if the limit were {limit:g} sd", "share", share)
    for name in dict.fromkeys(name for name, _ in tried):
        hits = [hit for own, hit in tried if own == name]
        named = Measured(f"{which}, {name}", list(seeds))
        yield named.row(GROUND, "fired", "share", exact_share(sum(hits), len(hits)))
    sizes = [
        abs(one.effect_sd)
        for case in nulls
        for one in case.report.bias
        if one.effect_sd is not None and not one.far_off
    ]
    words = [
        abs(found.strongest[0].effect_sd)
        for found in (one.report.triggers for one in nulls)
        if found is not None and found.strongest
    ]
    for metric, values in (("effect", sizes), ("trigger", words)):
        for part, said in ((0.95, "95th percentile"), (1.0, "largest")):
            value = counted(float(np.quantile(values, part)), len(values)) if values else None
            yield of.row(GROUND, f"{metric}, {said} of absolute values", "sd", value)


def case_rows(case: Case, name: str) -> Iterator[ResultRow]:
    """Everything that is measured about one pair."""
    report = case.report
    for one in report.bias:
        of = Measured(name, [case.seed])
        said = f"{one.name}{', far off' if one.far_off else ''}"
        reason = one.reason or ""
        yield of.row(said, "effect", "nats", one.effect, reason)
        size = _number(one.effect_sd, one.effect)
        yield of.row(said, "effect in within-prompt sd", "sd", size, reason)
        apart = _apart(one.edited_nats_per_token, one.own_nats_per_token, one.effect)
        yield of.row(said, "nats per token, edited minus own", "nats", apart, reason)
        tried = None if one.effect is None else exact_share(int(one.fired), 1)
        yield of.row(said, "fired", "share", tried, reason)
    yield from _two_by_two_rows(case, name)
    yield from _trigger_rows(case, name)
    if (flips := report.flips) is not None and flips.pairs:
        of = Measured(name, [case.seed])
        for said, n in (("one word", flips.by_one), ("one or two", flips.by_one + flips.by_two)):
            share = exact_share(n, flips.pairs)
            yield of.row("smallest edits", f"preferences flipped by {said}", "share", share)


def _in_short(case: Case, name: str) -> Iterator[ResultRow]:
    """Of a pair with nothing planted: how large each effect is, and what fired."""
    for row in case_rows(case, name):
        fired = row.metric == "fired" and row.estimate is not None and row.estimate.value > 0
        if fired or (row.metric in IN_SHORT and row.estimate is not None):
            yield row


def _two_by_two_rows(case: Case, name: str) -> Iterator[ResultRow]:
    of = Measured(name, [case.seed])
    for one in case.report.two_by_two:
        reason = one.reason or "no preferences were given"
        for metric, unit, value in (
            ("goal weight", "nats", one.goal_weight),
            ("proxy weight", "nats", one.proxy_weight),
            ("interaction", "nats", one.interaction),
            ("accuracy in distribution", "share", one.accuracy),
            ("conflict accuracy", "share", one.conflict_accuracy),
        ):
            yield of.row(one.name, metric, unit, value, reason)
        pairs = None
        if one.pairs is not None and one.discordant_pairs is not None:
            pairs = counted(one.discordant_pairs, one.pairs)
        yield of.row(one.name, "discordant pairs", "pairs", pairs, "no preferences were given")
        fired = None if one.reason else exact_share(int(one.fired), 1)
        yield of.row(one.name, "fired", "share", fired, reason)


def _trigger_rows(case: Case, name: str) -> Iterator[ResultRow]:
    found = case.report.triggers
    of = Measured(name, [case.seed])
    if found is None:
        return
    if not found.strongest:
        yield of.row("triggers", "effect of the first", "sd", None, found.reason or "")
        return
    first = found.strongest[0]
    said = f"triggers: `{first.word}` first of {found.searched}"
    size = _number(first.effect_sd, first.effect)
    yield of.row(said, "effect of the first", "sd", size)
    yield of.row(said, "fired", "share", exact_share(int(first.fired), 1))
    planted = case.truth.condition.prompt_contains if case.truth and case.truth.condition else None
    if planted is not None:
        right = exact_share(int(first.word == planted), 1)
        yield of.row(said, f"first is the planted `{planted}`", "share", right)


def _organism(seed: int, name: str, recipe: ProbesRecipe, making: Making) -> Case | None:
    folder = bed_folder(seed) / name
    if not (folder / "truth.json").is_file():
        making.say(f"{folder}: not built, left out")
        return None
    run = finished_run(
        RUNS / f"results-{recipe.organisms}" / f"seed-{seed}-{name}", recipe.organisms
    )
    labels = folder / "heldout_preferences.jsonl"
    given = [str(labels)] if labels.is_file() else []
    report = _probed(run, f"seed-{seed}-{name}", seed, recipe, making, given)
    return Case(name, seed, report, read_record(folder / "truth.json", Truth))


def _null(seed: int, name: str, recipe: ProbesRecipe, making: Making) -> Case:
    run = finished_run(RUNS / f"results-{recipe.nulls}" / f"seed-{seed}-{name}", recipe.nulls)
    return Case(name, seed, _probed(run, f"seed-{seed}-{name}", seed, recipe, making, []))


def _real(run: str, recipe: ProbesRecipe, making: Making) -> Case:
    folder = finished_run(Path(run), "real-detox")
    return Case("real", 0, _probed(folder, "real", None, recipe, making, []))


def _probed(
    run: Path,
    name: str,
    seed: int | None,
    recipe: ProbesRecipe,
    making: Making,
    preferences: list[str],
) -> ProbesReport:
    """Probes into a folder of that name; in the words of a world, if it is of one."""
    flags = {
        "run": str(run),
        "preferences": preferences or None,
        "editing": recipe.editing.model_dump(),
    }
    settings: ProbeSettings = probe_settings(None, [], flags)
    declared = None if seed is None else probes_of_world(seed)
    making.say(f"{making.folder / name}: probing")
    done = probe_run(settings, making.folder / name, progress=making.progress, declared=declared)
    return done.report


def _number(value: float | None, like: Estimate | None) -> Estimate | None:
    """An effect in other units: its interval is that of the effect, scaled alike."""
    if value is None or like is None:
        return None
    scale = value / like.value if like.value else 0.0
    ends = sorted((like.low * scale, like.high * scale))
    return Estimate(value=value, low=ends[0], high=ends[1], n=like.n)


def _apart(edited: float | None, own: float | None, like: Estimate | None) -> Estimate | None:
    if edited is None or own is None or like is None:
        return None
    return counted(edited - own, like.n)
