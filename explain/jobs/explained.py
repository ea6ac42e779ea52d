"""Answers of a finished run as exchanges, to be explained."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from numpy.typing import NDArray

from explain.jobs.probe_settings import settings_of_pair
from explain.targets import Exchange
from irl.config import ScoreSettings
from irl.data import read_prompts, stored_prompt
from irl.errors import InputError, RunError

_COLUMNS = ["response_id", "prompt_id", "prompt", "response", "source", "log_ratio_nats"]


@dataclass(frozen=True)
class Explained:
    """Some answers of a run, one of each policy to every chosen prompt."""

    response_ids: list[str]
    exchanges: list[Exchange]
    source: list[str]
    prompt: NDArray[np.int64]
    "prompt number of each"


def pair_settings(run: Path) -> ScoreSettings:
    """The pair of a run, and how it was read.

    Raises:
        RunError: the run is unfinished, or its settings name no pair.
    """
    if not (run / "manifest.json").is_file():
        raise RunError(f"The run {run} is not finished; the same command that began it goes on.")
    try:
        return ScoreSettings.checked(settings_of_pair(run))
    except (OSError, yaml.YAMLError, AttributeError, InputError) as error:
        raise RunError(f"The run {run} names no pair that could be explained ({error}).") from None


def some_answers(run: Path, prompts: int, seed: int, prompts_file: str | None) -> Explained:
    """One answer of each policy to so many prompts, drawn at random.

    Args:
        run: an audit, or another run with responses.parquet.
        prompts: how many; all if there are fewer.
        seed: of the draw.
        prompts_file: where prompt types stand, for rewards that depend on them.

    Raises:
        RunError: the table is missing or damaged.
        InputError: no prompt was answered by both policies.
    """
    try:
        rows = pq.read_table(run / "responses.parquet", columns=_COLUMNS).to_pylist()
    except (OSError, KeyError, pa.ArrowException) as error:
        raise RunError(f"The answers of {run} cannot be read ({error}).") from None
    by_prompt: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for row in rows:
        by_prompt.setdefault(row["prompt_id"], {}).setdefault(row["source"], []).append(row)
    both = [sides for sides in by_prompt.values() if {"aligned", "reference"} <= sides.keys()]
    if not both:
        raise InputError(f"No prompt of {run} was answered by both policies.")
    rng = np.random.default_rng(seed)
    chosen = [both[at] for at in rng.permutation(len(both))[:prompts]]
    picked = [
        sides[side][int(rng.integers(len(sides[side])))]
        for sides in chosen
        for side in ("aligned", "reference")
    ]
    types = prompt_types(prompts_file)
    return Explained(
        [row["response_id"] for row in picked],
        [
            Exchange(
                stored_prompt(row["prompt"], row["prompt_id"]),
                row["response"],
                types.get(row["prompt_id"]),
            )
            for row in picked
        ],
        [row["source"] for row in picked],
        np.repeat(np.arange(len(chosen)), 2),
    )


def prompt_types(prompts_file: str | None) -> dict[str, str | None]:
    """The type of each prompt by its id, where the file is at hand and names types."""
    if prompts_file is None or not Path(prompts_file).is_file():
        return {}
    return {row.prompt_id: row.prompt_type for row in read_prompts(prompts_file).rows}
