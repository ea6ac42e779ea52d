"""Rows about false alarms: how often would a method's words be called an objective for nothing?

Every method is fitted to the answers that the audits of plain fine-tunes drew, and its strongest
words are judged by the thresholds of the audit (`irl.evaluation.method_words`). The same for
organisms: a method that never raises an alarm raises no false one either. Beside them stands the
p value alone, at the same level: every fine-tune explains its own log-ratio better than chance, and
so effect sizes are asked for.
"""

from collections.abc import Callable, Iterator
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from explain.jobs.methods_results import audited_answers
from explain.jobs.result_rows import Making, Measured
from explain.organism_scores import exact_share
from irl.config import Deciding, Fitting, Learning
from irl.errors import InputError
from irl.evaluation.candidates import Candidate
from irl.evaluation.method_words import judged_words
from irl.records import ResultRow
from irl.recovery.examples import Examples
from irl.recovery.methods import METHODS, ROBUST, Method
from irl.rewards.heads import Head, linear

ALL = "all methods"


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
    rows: list[ResultRow] = []
    for case, (table, builds) in sets.items():
        names = [f"results-{table}/seed-{seed}-{one}" for seed in recipe.seeds for one in builds]
        judged: dict[str, list[Candidate]] = {}
        for name in names:
            for method, candidate in _judged(name, recipe, making):
                judged.setdefault(method, []).append(candidate)
        rows += _summed(Measured(f"{len(names)} {case}", recipe.seeds), judged)
    return rows


def _judged(name: str, recipe: AlarmsRecipe, making: Making) -> Iterator[tuple[str, Candidate]]:
    run = making.folder.parent / name
    if not (run / "manifest.json").is_file():
        raise InputError(
            f"There is no finished audit {run}; `irl results {recipe.nulls}` and `irl results "
            f"{recipe.organisms}` draw the answers."
        )
    making.say(name)
    answered, fold = audited_answers(run)
    learning = Learning(**recipe.learning)
    evidence, examples = answered.evidence(fold, Fitting())
    for method, fit in METHODS.items():
        if method in ROBUST:
            continue

        found = judged_words(_first(fit, learning), evidence, examples, Deciding(), recipe.seed)
        assert found is not None
        yield method, found


def _first(method: Method, learning: Learning) -> Callable[[Examples], Head]:
    return lambda part: method(part, linear, learning).head


def _summed(of: Measured, judged: dict[str, list[Candidate]]) -> Iterator[ResultRow]:
    """How many are called an objective, by each method and by all."""
    pooled = [one for part in judged.values() for one in part]
    for method, found in (*judged.items(), (ALL, pooled)):
        alarms = exact_share(sum(one.found for one in found), len(found))
        yield of.row(method, "called an objective", "share", alarms)
        level = Deciding().max_p
        chance = exact_share(sum(one.p_value < level for one in found), len(found))
        yield of.row(method, f"p below {level:g}, whatever the effect", "share", chance)
        r2 = max((one.r2 for one in found if one.r2), key=lambda one: one.value, default=None)
        yield of.row(method, "largest r2", "share", r2)
