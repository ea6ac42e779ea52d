"""Rows about false alarms: how often would a method's words be called an objective for nothing?

Every method is fitted to the answers that the audits of plain fine-tunes drew, and its strongest
words are judged by the thresholds of the audit (`irl.evaluation.method_words`). The same for
organisms: a method that never raises an alarm raises no false one either. Beside them stands the
p value alone, at the same level: every fine-tune explains its own log-ratio better than chance, and
so effect sizes are asked for. Methods judged on the same answers are no independent cases: the
interval over builds x methods is narrower than what is known, that of `any method` is not.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter

from explain.jobs.methods_results import audited_answers
from explain.jobs.result_rows import Making, Measured, counted, finished_run
from explain.organism_scores import exact_share
from irl.config import Deciding, Fitting, Learning
from irl.evaluation.method_words import judged_words
from irl.records import Estimate, Manifest, ResultRow, WordsVerdict
from irl.recovery.examples import Examples
from irl.recovery.methods import METHODS, ROBUST, Method
from irl.rewards.heads import Head, linear
from irl.runs import read_record, write_text

CALLED = "called an objective"
DECIDING = Deciding()
Verdicts = dict[str, WordsVerdict]
"By method"
_VERDICTS = TypeAdapter(Verdicts)


class AlarmsRecipe(BaseModel):
    """Which audits' answers every method is fitted to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["alarms"]
    nulls: str
    "the table whose audits of plain fine-tunes drew the answers"
    tunings: tuple[str, ...]
    organisms: str
    "the table whose audits of organisms did"
    planted: tuple[str, ...]
    seeds: list[int]
    "of the worlds"
    seed: int = 0
    "of bootstrap and sign flips"
    learning: dict[str, Any] = {}


def alarm_rows(recipe: AlarmsRecipe, making: Making) -> list[ResultRow]:
    """Every method on every build; the rows that sum up come first."""
    sets = {
        "plain fine-tunes": (recipe.nulls, recipe.tunings),
        "organisms": (recipe.organisms, recipe.planted),
    }
    making.folder.mkdir(parents=True, exist_ok=True)
    rows: list[ResultRow] = []
    for case, (table, builds) in sets.items():
        names = [f"results-{table}/seed-{seed}-{one}" for seed in recipe.seeds for one in builds]
        judged = [_judged(name, recipe, making) for name in names]
        rows += _summed(Measured(f"{len(names)} {case}", recipe.seeds), judged)
    return rows


def _judged(name: str, recipe: AlarmsRecipe, making: Making) -> Verdicts:
    """The verdicts on one build, made or read again."""
    run = finished_run(making.folder.parent / name, recipe.nulls, recipe.organisms)
    about = [recipe.learning, recipe.seed, read_record(run / "manifest.json", Manifest).run_id]
    key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:10]
    file = making.folder / f"{name.replace('/', '-')}-{key}.json"
    if file.is_file():
        return _VERDICTS.validate_json(file.read_bytes())
    making.say(name)
    found = _judge(run, recipe)
    write_text(file, _VERDICTS.dump_json(found, indent=1).decode() + "\n")
    return found


def _judge(run: Path, recipe: AlarmsRecipe) -> Verdicts:
    answered, fold = audited_answers(run)
    learning = Learning(**recipe.learning)
    evidence, examples = answered.evidence(fold, Fitting())
    found: Verdicts = {}
    for name, method in METHODS.items():
        if name in ROBUST:
            continue
        verdict = judged_words(_first(method, learning), evidence, examples, DECIDING, recipe.seed)
        assert verdict is not None
        found[name] = verdict
    return found


def _first(method: Method, learning: Learning) -> Callable[[Examples], Head]:
    return lambda part: method(part, linear, learning).head


def _summed(of: Measured, builds: Sequence[Verdicts]) -> Iterator[ResultRow]:
    """How many are called an objective: by each method, by any, and of all builds x methods."""
    by_method = {name: [one[name] for one in builds] for name in builds[0]}
    for name, found in by_method.items():
        yield of.row(name, CALLED, "share", _share([one.objective for one in found]))
        chance = [one.p_value < DECIDING.max_p for one in found]
        yield of.row(name, f"p below {DECIDING.max_p:g} alone", "share", _share(chance))
        r2 = max(one.r2.value for one in found if one.r2)
        yield of.row(name, "largest r2", "share", counted(r2, len(found)))
    any_method = [any(one.objective for one in build.values()) for build in builds]
    yield of.row("any method", CALLED, "share", _share(any_method))
    pooled = [one.objective for build in builds for one in build.values()]
    yield of.row("builds x methods", CALLED, "share", _share(pooled))


def _share(which: Sequence[bool]) -> Estimate | None:
    return exact_share(sum(which), len(which))
