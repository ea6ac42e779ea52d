"""Answers of a finished run as exchanges, to be explained."""

from collections.abc import Sequence
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
from irl.engine.sides import SIDES
from irl.errors import InputError, RunError
from irl.rewards.stored import Reward

_COLUMNS = ["response_id", "prompt_id", "prompt", "response", "source", "log_ratio_nats"]
_Sides = dict[str, list[dict[str, Any]]]
"The answers of each policy to one prompt"


@dataclass(frozen=True)
class Explained:
    """Some answers of a run, those to a prompt one after the other, the aligned policy's first."""

    response_ids: list[str]
    exchanges: list[Exchange]
    source: list[str]
    prompt: NDArray[np.int64]
    "prompt number of each"


def pair_settings(run: Path) -> ScoreSettings:
    """The pair of a run, and how it was read.

    Raises:
        RunError: the run is unfinished, its settings name no pair, or it kept no answers.
    """
    if not (run / "manifest.json").is_file():
        raise RunError(f"The run {run} is not finished; the same command that began it goes on.")
    try:
        found = ScoreSettings.checked(settings_of_pair(run))
    except (OSError, yaml.YAMLError, AttributeError, InputError) as error:
        raise RunError(f"The run {run} names no pair that could be explained ({error}).") from None
    if not (run / "responses.parquet").is_file():
        raise RunError(f"The run {run} kept no answers (responses.parquet); audit its pair again.")
    return found


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
    rng = np.random.default_rng(seed)
    chosen = _answered_by_both(run, prompts, rng)
    picked = [
        [sides[side][int(rng.integers(len(sides[side])))] for side in SIDES] for sides in chosen
    ]
    return _explained(picked, prompts_file)


def all_answers(
    run: Path, prompts: int, answers: int, seed: int, prompts_file: str | None
) -> Explained:
    """The first so many answers of each policy to prompts drawn at random; else as above."""
    chosen = _answered_by_both(run, prompts, np.random.default_rng(seed))
    picked = [[row for side in SIDES for row in sides[side][:answers]] for sides in chosen]
    return _explained(picked, prompts_file)


def _answered_by_both(run: Path, prompts: int, rng: np.random.Generator) -> list[_Sides]:
    try:
        rows = pq.read_table(run / "responses.parquet", columns=_COLUMNS).to_pylist()
    except (OSError, KeyError, pa.ArrowException) as error:
        raise RunError(f"The answers of {run} cannot be read ({error}).") from None
    by_prompt: dict[str, _Sides] = {}
    for row in rows:
        by_prompt.setdefault(row["prompt_id"], {}).setdefault(row["source"], []).append(row)
    both = [sides for sides in by_prompt.values() if set(SIDES) <= sides.keys()]
    if not both:
        raise InputError(f"No prompt of {run} was answered by both policies.")
    return [both[at] for at in rng.permutation(len(both))[:prompts]]


def _explained(picked: Sequence[Sequence[dict[str, Any]]], prompts_file: str | None) -> Explained:
    """Rows by prompt as exchanges."""
    types = prompt_types(prompts_file)
    rows = [row for one in picked for row in one]
    return Explained(
        [row["response_id"] for row in rows],
        [
            Exchange(
                stored_prompt(row["prompt"], row["prompt_id"]),
                row["response"],
                types.get(row["prompt_id"]),
            )
            for row in rows
        ],
        [row["source"] for row in rows],
        np.repeat(np.arange(len(picked)), [len(one) for one in picked]),
    )


def require_types(reward: Reward, exchanges: Sequence[Exchange], prompts_file: str | None) -> None:
    """Refuse to value answers by a reward that depends on types of prompts which nobody knows.

    Raises:
        InputError: it does, and the file that named the types is not at hand.
    """
    conditions = getattr(reward, "conditions", None) or ()
    typed = any(condition is not None and condition.prompt_type for condition in conditions)
    if typed and all(one.prompt_type is None for one in exchanges):
        raise InputError(
            f"The reward depends on the type of a prompt, which stands in {prompts_file}; that "
            "file is not there. Put it back, or run the command where it can be found."
        )


def prompt_types(prompts_file: str | None) -> dict[str, str | None]:
    """The type of each prompt by its id, where the file is at hand and names types."""
    if prompts_file is None or not Path(prompts_file).is_file():
        return {}
    return {row.prompt_id: row.prompt_type for row in read_prompts(prompts_file).rows}
