"""Rows that say whether gradient attributions of the log-ratio add up, on the pairs of a list.

Of each pair answers are drawn and scored, and some of them attributed to their tokens. The gap of
an answer is |sum of values - (f(x) - f(x0))| relative to max(|f(x) - f(x0)|, sd of f over the run);
an answer is unmet if it stays above the tolerance at the most steps that a method may take.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from explain.attribution.embedded import Embedded, embedded_log_ratio
from explain.attribution.gradients import (
    TOLERANCE,
    deeplift,
    gradient_shap,
    integrated_gradients,
)
from explain.attribution.record import Attribution
from explain.jobs.attribution_report import Mean
from explain.jobs.explained import some_answers
from explain.jobs.result_rows import Making, Measured, built_pair, counted
from irl.bootstrap import codes
from irl.config import ScoreSettings
from irl.jobs.scoring import score
from irl.policies.pair import load_pair
from irl.records import ResultRow
from irl.within import spread

MIN_PROMPTS = 8
"Below, a bootstrap over prompts gives no interval worth the name"
Method = Literal["Integrated Gradients", "DeepLIFT", "GradientSHAP"]
Attribute = Callable[[Embedded], Attribution]


class GapsRecipe(BaseModel):
    """Which pairs, and how many of their prompts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["gaps"]
    pairs: list[str]
    "folders"
    seed: int = 0
    drawn: int
    "prompts to which both policies answer, for the spread of the target"
    answers_per_prompt: int
    max_new_tokens: int
    prompts: dict[Method, int]
    "by method, prompts of which one answer of each policy is attributed"


def gap_rows(recipe: GapsRecipe, making: Making) -> list[ResultRow]:
    """Every pair by every method.

    Raises:
        InputError: a pair is missing.
    """
    rows: list[ResultRow] = []
    for folder in map(built_pair, recipe.pairs):
        making.say(folder.name)
        rows += pair_gaps(folder, recipe, making)
    return rows


def pair_gaps(folder: Path, recipe: GapsRecipe, making: Making) -> Iterator[ResultRow]:
    """One pair."""
    settings = ScoreSettings.checked(
        {
            **{side: str(folder / side) for side in ("aligned", "reference")},
            "prompts": str(folder / "prompts.jsonl"),
            "prompt_limit": recipe.drawn,
            "seed": recipe.seed,
            "sampling": {
                "responses_per_prompt": recipe.answers_per_prompt,
                "max_new_tokens": recipe.max_new_tokens,
            },
        }
    )
    run = score(settings, making.folder / folder.name, progress=making.progress).path
    table = pq.read_table(run / "responses.parquet", columns=["prompt_id", "log_ratio_nats"])
    returns = table["log_ratio_nats"].to_numpy()
    sd = spread(returns, codes(table["prompt_id"].to_pylist()))
    embed = embedded_log_ratio(
        load_pair(settings.aligned, settings.reference, settings.loading), settings.chat
    )
    of = Measured(folder.name, [recipe.seed])
    for name, attribute in methods(sd, recipe.seed).items():
        if name not in recipe.prompts:
            continue
        answers = some_answers(run, recipe.prompts[name], recipe.seed, settings.prompts)
        found = [attribute(embed(exchange)) for exchange in answers.exchanges]
        gaps = np.array([one.relative_gap(sd) for one in found])
        steps = np.array([one.evaluations for one in found])
        yield from rows_of(of, name, gaps, steps, Mean(answers.prompt, recipe.seed))


def methods(sd: float, seed: int) -> Mapping[Method, Attribute]:
    """The attributions that follow gradients, all to the same tolerance."""
    return MappingProxyType(
        {
            "Integrated Gradients": partial(integrated_gradients, spread=sd),
            "DeepLIFT": deeplift,
            "GradientSHAP": partial(gradient_shap, spread=sd, seed=seed),
        }
    )


def rows_of(
    of: Measured, name: str, gaps: NDArray[np.float64], steps: NDArray[np.int64], mean: Mean
) -> Iterator[ResultRow]:
    """What the gaps of one method's attributions say."""
    n = len(gaps)
    unmet = f"unmet (above {100 * TOLERANCE:g} %)"
    enough = len(np.unique(mean.prompt)) >= MIN_PROMPTS
    average = mean((100 * gaps).tolist()) if enough else None
    few = f"no interval from fewer than {MIN_PROMPTS} prompts"
    yield of.row(name, "mean relative gap (%)", "%", average, few)
    yield of.row(name, "largest relative gap (%)", "%", counted(100 * float(gaps.max()), n))
    yield of.row(name, unmet, "answers", counted(int((gaps > TOLERANCE).sum()), n))
    yield of.row(name, "median steps", "steps", counted(float(np.median(steps)), n))
    yield of.row(name, "most steps", "steps", counted(int(steps.max()), n))
