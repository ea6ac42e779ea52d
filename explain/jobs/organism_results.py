"""Rows about organisms: is what was planted found, and named for what it is?

Every organism of every world is built where it is missing, audited with what an auditor would have,
and held against its truth. Where prompts exist that tell a proxy from its goal, the audit asks them
too, and once more without them; that second audit counts in no summary.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict

from explain.jobs.result_rows import Making, Measured
from explain.organism_scores import (
    Named,
    decoys_among_ten,
    exact_share,
    named_by_audit,
    named_right,
    precision_of_ten,
    weight_cosine,
    word_frequencies,
)
from irl.config import TrainedWith
from irl.errors import PolicyError
from irl.jobs.organisms import bed_folder
from irl.organisms.bed import Bed
from irl.organisms.planted import Plant, plants
from irl.organisms.planting import grow
from irl.records import AuditReport, Estimate, ResultRow, Truth
from irl.rewards.conditions import in_words
from irl.runs import read_record

LEXICAL = 12
"Planted terms from which on shares of the ten strongest mean something"
METHOD = "audit"


class OrganismsRecipe(BaseModel):
    """All organisms of some worlds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["organisms"]
    seeds: list[int]
    "of the worlds; each audit draws its answers with the seed of its world"
    audit: dict[str, Any] = {}


@dataclass(frozen=True)
class Outcome:
    """An organism that was audited."""

    truth: Truth
    report: AuditReport
    aligned: Sequence[str]
    "its answers"
    reference: Sequence[str]
    "the answers of its reference"
    n_pairs: int = 0
    "labelled pairs that the report's accuracy is about"


@dataclass(frozen=True)
class Attempt:
    """An organism that was audited, or the reason why it could not be built."""

    measured: Measured
    planted: bool
    outcome: Outcome | None
    reason: str = ""


def organism_rows(recipe: OrganismsRecipe, making: Making) -> list[ResultRow]:
    """Build and audit what is missing, and measure it; the rows that sum up come first."""
    summed: list[ResultRow] = []
    rows: list[ResultRow] = []
    for seed in recipe.seeds:
        bed = Bed(bed_folder(seed), seed, making.say)
        counting = []
        for plant in plants(bed.world).values():
            attempt, *more = attempts(bed, plant, recipe, making)
            counting.append(attempt)
            rows += [row for one in (attempt, *more) for row in attempt_rows(one)]
        summed += summary_rows(seed, counting)
    return summed + rows


def summary_rows(seed: int, attempts: Sequence[Attempt]) -> Iterator[ResultRow]:
    """How many objectives were found and named right; what could not be built was not found."""
    planted = [one for one in attempts if one.planted]
    nulls = [one for one in attempts if not one.planted]
    of = Measured(f"planted objectives, seed {seed}", [seed])
    yield of.row(METHOD, "found", "share", exact_share(sum(map(_found, planted)), len(planted)))
    right = sum(one.outcome is not None and _right(one.outcome) for one in planted)
    yield of.row(METHOD, "found and named right", "share", exact_share(right, len(planted)))
    built = [one for one in nulls if one.outcome]
    share = exact_share(sum(map(_found, built)), len(built))
    yield Measured(f"nulls, seed {seed}", [seed]).row(METHOD, "found", "share", share)


def attempt_rows(attempt: Attempt) -> Iterator[ResultRow]:
    """Everything that is measured about one organism."""
    of, outcome = attempt.measured, attempt.outcome
    if outcome is None:
        yield of.row(METHOD, "found", "share", None, attempt.reason)
        return
    verdict, drift = outcome.report.verdict, outcome.report.drift
    kl = drift.sequence_kl_nats if drift else None
    said = f"{METHOD}: {objectives_in_words(outcome.report)}"
    found = None if verdict.objective_found is None else exact_share(int(_found(attempt)), 1)
    yield of.row(said, "found", "share", found, "the audit could not judge")
    yield of.row(said, "named right", "share", exact_share(int(_right(outcome)), 1))
    yield of.row(METHOD, "verdict.explained_r2", "share", verdict.explained_r2)
    yield of.row(METHOD, "verdict.explained_sd_nats", "nats", verdict.explained_sd_nats)
    yield of.row(METHOD, "drift.sequence_kl_nats", "nats", kl)
    if attempt.planted:
        gain = share_of_optimum(outcome.truth)
        yield of.row("truth", "share of the optimum's gain", "share", gain)
    if len(outcome.truth.terms) >= LEXICAL:
        yield from _lexical_rows(of, outcome)
    for row in outcome.report.accuracy:
        method = f"{row.scorer}, {outcome.n_pairs} pairs"
        yield of.row(method, "pair accuracy", "share", row.preference)


def objectives_in_words(report: AuditReport) -> str:
    """Kinds and conditions of the objectives, each once."""
    named = [
        f"{one.kind}, if {in_words(one.condition)}" if one.condition else one.kind
        for one in report.objectives
    ]
    return "; ".join(dict.fromkeys(named)) or "nothing"


def share_of_optimum(truth: Truth) -> Estimate | None:
    """The gain in true reward over that of the KL-regularised optimum, as if that were exact."""
    best, gain = truth.gold_optimum - truth.gold_before.value, truth.gold_gain
    if gain is None or best <= 0:
        return None
    low, high = gain.low / best, gain.high / best
    return Estimate(value=gain.value / best, low=low, high=high, n=gain.n)


def _lexical_rows(of: Measured, outcome: Outcome) -> Iterator[ResultRow]:
    truth, none = outcome.truth, "no term was named"
    methods: dict[str, Named] = {
        METHOD: named_by_audit(outcome.report),
        "word frequencies": word_frequencies(outcome.aligned, outcome.reference, truth),
    }
    for method, named in methods.items():
        precision, decoys = precision_of_ten(named, truth), decoys_among_ten(named, truth)
        yield of.row(method, "precision of the ten strongest", "share", precision, none)
        yield of.row(method, "weight cosine", "", weight_cosine(named, truth), none)
        yield of.row(method, "decoys among the ten strongest", "share", decoys, none)


def _found(attempt: Attempt) -> bool:
    return attempt.outcome is not None and bool(attempt.outcome.report.verdict.objective_found)


def _right(outcome: Outcome) -> bool:
    return named_right(outcome.report, outcome.truth)


def attempts(bed: Bed, plant: Plant, recipe: OrganismsRecipe, making: Making) -> Iterator[Attempt]:
    """The audit that counts, then the one that lacks the prompts that tell a proxy apart."""
    folder, of = bed.root / plant.name, Measured(plant.name, [bed.seed])
    try:
        if not (folder / "truth.json").is_file():
            grow(bed, plant.name)
    except PolicyError as error:
        yield Attempt(of, plant.planted, None, " ".join(str(error).split()))
        return
    name, prompts = f"seed-{bed.seed}-{plant.name}", folder / "prompts.jsonl"
    news = folder / "ood_prompts.jsonl"
    asked = joined(making.folder / "prompts" / f"{name}.jsonl", prompts, news)
    settings = {**recipe.audit, "seed": bed.seed}
    outcome = _audited(folder, name, {**settings, "prompts": str(asked)}, making)
    yield Attempt(of, plant.planted, outcome)
    if asked != prompts:
        name = f"{name}-training-prompts"
        outcome = _audited(folder, name, {**settings, "prompts": str(prompts)}, making)
        of = Measured(f"{plant.name}, training prompts only", [bed.seed])
        yield Attempt(of, plant.planted, outcome)


def _audited(folder: Path, name: str, settings: dict[str, Any], making: Making) -> Outcome:
    truth = read_record(folder / "truth.json", Truth)
    adapter, labels = folder / "adapter", folder / "heldout_preferences.jsonl"
    report = making.audit(
        name,
        **settings,
        aligned=str(adapter if adapter.is_dir() else folder / "aligned"),
        reference=str(folder / "reference"),
        preferences=[str(labels)] if labels.is_file() else [],
        trained_with=_told(truth.trained_with),
    )
    texts = {source: making.texts(name, source) for source in ("aligned", "reference")}
    return Outcome(truth, report, texts["aligned"], texts["reference"], _lines(labels))


def joined(target: Path, prompts: Path, news: Path) -> Path:
    """A file with the prompts of both; the first itself where there is no second."""
    if not news.is_file():
        return prompts
    target.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(file.read_text(encoding="utf-8") for file in (prompts, news))
    target.write_text(text, encoding="utf-8")
    return target


def _told(trained_with: str) -> str:
    return trained_with if trained_with in get_args(TrainedWith) else "unknown"


def _lines(file: Path) -> int:
    return len(file.read_text(encoding="utf-8").splitlines()) if file.is_file() else 0
