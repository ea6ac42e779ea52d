"""Rows about choosing prompts: regret to the oracle, where success is known by construction.

Of each arm a log is drawn for every seed, and prompts are chosen for other queries, the same for
all seeds. Regret is in probability of success, so chance has no part in it: of the choices, not of
the coins that they would be judged by in a log. Intervals draw queries and seeds again.
"""

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from explain.jobs.result_rows import Making, Measured, counted, mean_of_seeds, written
from irl.bootstrap import crossed_mean
from irl.evaluation.prompt_choice import (
    HEAD,
    NEAREST,
    ORACLE,
    RANDOM,
    SINGLE,
    best_single,
    nearest,
    picks,
    regret,
)
from irl.jobs.prompts import choose_prompts
from irl.jobs.prompts_settings import PromptsSettings
from irl.organisms.prompted import PROMPTS, Queries, queries
from irl.records import OutcomeFigures, PromptsReport, ResultRow
from irl.rewards.features import WordCounts
from irl.rewards.words import words

Array = NDArray[np.float64]
ADVISED = "head, as advised"
UNIT = "probability of success"
_JUDGED_SEED = 1_000_003
"Of the queries that all seeds of an arm are judged on"


class PromptsArm(BaseModel):
    """One table of success, and how it is logged and read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    table: str
    "of irl.organisms.prompted"
    queries: int
    "in each log"
    prompts_each: int | None = None
    "that are tried on each query; None: all"
    settings: dict[str, Any] = {}
    "of `irl prompts`"


class PromptsRecipe(BaseModel):
    """Which arms, and how often each is drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["prompts"]
    seeds: tuple[int, ...]
    judged_queries: int
    settings: dict[str, Any] = {}
    "of every `irl prompts`"
    arms: tuple[PromptsArm, ...]


def prompts_rows(recipe: PromptsRecipe, making: Making) -> list[ResultRow]:
    """Every arm over its seeds; finished runs are reused.

    Raises:
        InputError: there is no such table.
    """
    rows: list[ResultRow] = []
    for arm in recipe.arms:
        making.say(arm.name)
        rows += _arm_rows(arm, recipe, making)
    return rows


def _arm_rows(arm: PromptsArm, recipe: PromptsRecipe, making: Making) -> Iterator[ResultRow]:
    judged = queries(arm.table, recipe.judged_queries, _JUDGED_SEED)
    asked = written(
        making.folder / f"{arm.table.replace(' ', '-')}-queries.jsonl",
        [{"query": text} for text in judged.texts],
    )
    best: dict[str, list[Array]] = {}
    worst: dict[str, list[Array]] = {}
    reports: list[PromptsReport] = []
    for seed in recipe.seeds:
        logged = queries(arm.table, arm.queries, seed)
        name = f"{arm.name.replace(' ', '-')}-{seed}"
        log = written(making.folder / f"{name}.jsonl", logged.tried(seed, arm.prompts_each))
        named = {"log": str(log), "queries": str(asked), "seed": seed}
        settings = PromptsSettings.checked(recipe.settings | arm.settings | named)
        run = choose_prompts(settings, making.folder / name)
        reports.append(run.report)
        table = pq.read_table(run.run.path / "choices.parquet").to_pylist()
        chosen = {row["query"]: row for row in table}
        for found, column, sign in ((best, "best_prompt", 1), (worst, "worst_prompt", -1)):
            shares = _baselines(logged, judged, _tried(logged, seed, arm.prompts_each), sign)
            shares[HEAD] = _picked(judged, chosen, column)
            if sign > 0:
                shares[ADVISED] = _picked(judged, chosen, "advised_prompt")
            for method, one in shares.items():
                found.setdefault(method, []).append(regret(sign * judged.success, one))
    of = Measured(arm.name, list(recipe.seeds))
    for metric, found in (("regret", best), ("regret of the worst", worst)):
        for method, values in found.items():
            yield of.row(method, metric, UNIT, crossed_mean(np.stack(values)))
    yield from _figures(of, reports)


def _figures(of: Measured, reports: list[PromptsReport]) -> Iterator[ResultRow]:
    told = sum(report.advice == "per query" for report in reports)
    yield of.row(
        ADVISED, "logs that advise a prompt per query", "logs", counted(told, len(reports))
    )
    names = {
        "auc_within_queries": "AUC between prompts of a query",
        "accuracy": "accuracy",
        "calibration_error": "calibration error",
    }
    for field, metric in names.items():
        found = [_value(report.head, field) for report in reports]
        known = [value for value in found if value is not None]
        whole = mean_of_seeds(known) if len(known) == len(reports) else None
        yield of.row(HEAD, f"{metric}, out of fold", "1", whole)


def _value(figures: OutcomeFigures | None, field: str) -> float | None:
    estimate = getattr(figures, field)
    return None if estimate is None else float(estimate.value)


def _tried(logged: Queries, seed: int, prompts_each: int | None) -> Array:
    """The log as a table, [query, prompt]."""
    table = np.full(logged.success.shape, np.nan)
    at_query = {text: at for at, text in enumerate(logged.texts)}
    for row in logged.tried(seed, prompts_each):
        table[at_query[str(row["query"])], PROMPTS.index(str(row["prompt"]))] = row["outcome"]
    return table


def _baselines(logged: Queries, judged: Queries, tried: Array, sign: int) -> dict[str, Array]:
    """What needs no head, from the same log."""
    texts = [*logged.texts, *judged.texts]
    counts = WordCounts(tuple(sorted({word for text in texts for word in words(text)})))
    training = np.arange(len(texts)) < len(logged.texts)
    unknown = np.full(judged.success.shape, np.nan)
    outcomes = sign * np.concatenate([tried, unknown])
    near = nearest(counts(texts).double().numpy(), outcomes, training)[~training]
    return {
        SINGLE: np.broadcast_to(best_single(outcomes, training), unknown.shape),
        RANDOM: np.full(unknown.shape, 1 / len(PROMPTS)),
        NEAREST: near,
        ORACLE: picks(sign * judged.success),
    }


def _picked(judged: Queries, chosen: dict[str, Any], column: str) -> Array:
    shares = np.zeros(judged.success.shape)
    for at, text in enumerate(judged.texts):
        shares[at, PROMPTS.index(chosen[text][column])] = 1.0
    return shares
