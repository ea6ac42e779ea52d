"""What both ways of choosing prompts report: choices, what they are worth, and the prompts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from irl.config import Settings
from irl.data.prompt_logs import NamedText, read_candidates, read_queries
from irl.data.rows import RefusedRow, Table
from irl.evaluation.pair_figures import mean_of
from irl.evaluation.prompt_choice import HEAD, choice_figures, out_of_fold
from irl.jobs.encoding import log_refused
from irl.jobs.prompts_settings import PromptsSettings
from irl.records import ChoiceFigures, Estimate, PromptsReport, PromptSummary
from irl.runs import RunFolder, now, read_record, versions

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
REPORT: Final = "prompts.json"
CHOICES: Final = "choices.parquet"
Advice = Literal["per query", "one prompt"]


@dataclass(frozen=True)
class PromptsRun:
    """A finished choice of prompts."""

    run: RunFolder
    report: PromptsReport
    was_finished: bool


def as_it_is(run: RunFolder) -> PromptsRun:
    """A run that was finished before."""
    return PromptsRun(run, read_record(run.path / REPORT, PromptsReport), was_finished=True)


def about(run: RunFolder, settings: Settings) -> dict[str, Any]:
    """What stands at the head of a report."""
    return {
        "run_id": run.run_id,
        "created": now(),
        "versions": versions(),
        "settings": settings.model_dump(mode="json"),
    }


def named_texts(
    settings: PromptsSettings,
) -> tuple[Table[NamedText] | None, Table[NamedText] | None]:
    """Queries and candidates, where files name them.

    Raises:
        InputError: they cannot be used.
    """
    return (
        None if settings.queries is None else read_queries(settings.queries),
        None if settings.candidates is None else read_candidates(settings.candidates),
    )


def rows_of(table: Table[NamedText] | None) -> Sequence[NamedText]:
    """None of a file that was not named."""
    return () if table is None else table.rows


def refused_in(run: RunFolder, tables: Mapping[str, Table[Any] | None]) -> int:
    """Name every refused row, and count them."""
    refused: list[RefusedRow] = []
    for table in tables.values():
        if table is not None:
            log_refused(run, table.source, table.refused)
            refused += table.refused
    return len(refused)


@dataclass(frozen=True)
class Choice:
    """Values of every candidate on every query that is asked about."""

    queries: Codes
    "which of all"
    prompts: Codes
    "which of all"
    value: Array
    "[query, prompt] of these"
    low: Array
    high: Array

    @property
    def best(self) -> Codes:
        """Of each query; the first by name where several are equal."""
        found: Codes = self.prompts[self.value.argmax(1)]
        return found

    @property
    def worst(self) -> Codes:
        """Likewise."""
        found: Codes = self.prompts[self.value.argmin(1)]
        return found


@dataclass(frozen=True)
class Judged:
    """Choices, and what they are worth on queries whose outcomes are known."""

    choice: Choice
    figures: list[ChoiceFigures]
    single: int
    "the best single prompt, among all"
    known: Array
    "mean outcomes, [query, prompt] of all"
    complete: int
    "queries on which every candidate was tried"


def figures_of(
    scores: Array, outcomes: Array, features: Array, fold: Codes, seed: int
) -> list[ChoiceFigures]:
    """Choices of the best and of the worst, beside the baselines; empty where none can be judged.

    Args:
        scores: what the head chooses by, [query, prompt]; it has not seen the outcomes.
        outcomes: [query, prompt], NaN where a prompt was not tried.
        features: of queries.
        fold: of queries.
        seed: of the bootstrap.
    """
    if outcomes.shape[1] < 2 or len(np.unique(fold)) < 2:
        return []
    best = out_of_fold(scores, outcomes, features, fold)
    worst = out_of_fold(-scores, -outcomes, features, fold)
    return choice_figures(best, worst, outcomes, seed)


def advice(figures: Sequence[ChoiceFigures]) -> Advice:
    """Per query where the head beats the best single prompt with its whole interval."""
    gain = next((one.beyond_single for one in figures if one.method == HEAD), None)
    return "per query" if gain is not None and gain.low > 0 else "one prompt"


def summaries(
    prompts: Sequence[NamedText], choice: Choice, known: Array, seed: int
) -> list[PromptSummary]:
    """Of every candidate, the best first: by mean outcome, else by how often it is chosen."""
    best, worst = (
        np.bincount(some, minlength=len(prompts)) for some in (choice.best, choice.worst)
    )
    found = [
        PromptSummary(
            prompt_id=prompts[at].id,
            prompt=prompts[at].text,
            tried=int(np.isfinite(known[:, at]).sum()),
            outcome=_mean(known[:, at], seed),
            chosen=int(best[at]),
            avoided=int(worst[at]),
        )
        for at in choice.prompts
    ]
    return sorted(found, key=lambda one: (-_value(one.outcome), -one.chosen, one.prompt_id))


def _mean(column: Array, seed: int) -> Estimate | None:
    there = np.flatnonzero(np.isfinite(column))
    return mean_of(column[there], there, seed)


def _value(estimate: Estimate | None) -> float:
    return -np.inf if estimate is None else estimate.value


def choices_table(
    queries: Sequence[NamedText], prompts: Sequence[NamedText], judged: Judged, told: str
) -> pa.Table:
    """choices.parquet: one row per query."""
    choice, row = judged.choice, np.arange(len(judged.choice.queries))
    at, down = choice.value.argmax(1), choice.value.argmin(1)
    advised = choice.best if told == "per query" else np.full(len(row), judged.single)
    columns: dict[str, Any] = {
        "query_id": [queries[one].id for one in choice.queries],
        "query": [queries[one].text for one in choice.queries],
        "advised_prompt": [prompts[one].text for one in advised.tolist()],
    }
    for name, which in (("best", at), ("worst", down)):
        columns |= {
            f"{name}_prompt_id": [prompts[choice.prompts[one]].id for one in which],
            f"{name}_prompt": [prompts[choice.prompts[one]].text for one in which],
            f"{name}_value": choice.value[row, which],
            f"{name}_low": choice.low[row, which],
            f"{name}_high": choice.high[row, which],
        }
    return pa.table(columns).replace_schema_metadata({"schema": "irl.choices/1"})
