"""How scores do in groups of prompts; what was counted is cached."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from dashboard import pair_queries
from dashboard.states import known, or_why, told
from explain.prompt_groups import Grouping, asked, groupings
from irl.bootstrap import DRAWS, draw_counts, percentile_estimate, share
from irl.records import Estimate, PromptCondition

SCORES: Final = ("log_ratio_nats", "reward_nats")


@dataclass(frozen=True)
class Counted:
    """Every prompt of a run."""

    groupings: dict[str, Grouping]
    hits: NDArray[np.float64]
    "[prompt, pairs ranked right by either of SCORES, and their number]"


@dataclass(frozen=True)
class RightByGroup:
    """Share of pairs ranked right in every group."""

    labels: list[str]
    "untrusted"
    shares: list[list[Estimate | None]]
    "by each of SCORES, of each group"


def ways(run: Path, conditions: Sequence[PromptCondition]) -> list[str]:
    """The ways in which the prompts of a run can be grouped.

    Raises:
        RunError: the run has no responses, or they cannot be read.
    """
    return list(_counted_of(run, conditions).groupings)


def right_by_group(run: Path, conditions: Sequence[PromptCondition], way: str) -> RightByGroup:
    """Share of pairs ranked right by group, with intervals over prompts.

    Args:
        run: the run folder.
        conditions: of the objectives that were found.
        way: one of `ways`.

    Raises:
        RunError: the run has no responses, or they cannot be read.
    """
    file = run / "responses.parquet"
    return told(_right(str(file), known(file), tuple(conditions), way))


def _counted_of(run: Path, conditions: Sequence[PromptCondition]) -> Counted:
    file = run / "responses.parquet"
    return told(_counted(str(file), known(file), tuple(conditions)))


@st.cache_data(show_spinner=False, max_entries=20)
def _counted(file: str, changed: int, _conditions: tuple[PromptCondition, ...]) -> Counted | str:
    """What a report says of conditions does not change while its responses stay."""
    del changed  # part of the key only

    def count() -> Counted:
        rows = pair_queries.right_by_prompt(Path(file), *SCORES)
        pairs = zip(rows["prompt"].to_pylist(), rows["prompt_type"].to_pylist(), strict=True)
        prompts = [asked(prompt or "", kind) for prompt, kind in pairs]
        names = [f"{what}_{score}" for score in ("first", "second") for what in ("hits", "n")]
        hits = np.stack([rows[name].to_numpy().astype(float) for name in names], axis=1)
        return Counted(groupings(prompts, _conditions), hits)

    return or_why(count)


@st.cache_data(show_spinner=False, max_entries=100)
def _right(
    file: str, changed: int, _conditions: tuple[PromptCondition, ...], way: str
) -> RightByGroup | str:
    def count() -> RightByGroup:
        counted = told(_counted(file, changed, _conditions))
        grouping = counted.groupings[way]
        group = np.array(grouping.group)
        found = [_shares(counted.hits[group == at]) for at in range(len(grouping.labels))]
        kept = [at for at, each in enumerate(found) if any(each)]
        return RightByGroup(
            [grouping.labels[at] for at in kept],
            [[found[at][score] for at in kept] for score in range(len(SCORES))],
        )

    return or_why(count)


def _shares(hits: NDArray[np.float64]) -> list[Estimate | None]:
    """Of each score, over the same draws of the prompts."""
    found: list[Estimate | None] = [None] * len(SCORES)
    if len(hits) < 2:
        return found
    drawn, whole = draw_counts(len(hits), DRAWS, seed=0) @ hits, hits.sum(0)
    for score in range(len(SCORES)):
        right, pairs = 2 * score, 2 * score + 1
        n = int((hits[:, pairs] > 0).sum())
        if n > 1:
            with np.errstate(divide="ignore", invalid="ignore"):
                shares = drawn[:, right] / drawn[:, pairs]
            value = float(whole[right] / whole[pairs])
            found[score] = share(percentile_estimate(value, shares, n))
    return found
