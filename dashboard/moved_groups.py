"""How far a policy has moved in groups of prompts; what was counted is cached."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import streamlit as st

from dashboard import queries
from dashboard.states import known, or_why, told
from explain.prompt_groups import asked, groupings
from irl.bootstrap import from_sums, ratio
from irl.records import Estimate, PromptCondition

Moved = dict[str, Estimate]
"Mean log-ratio of the aligned policy's answers, by group; labels are untrusted"


def moved_groups(run: Path, conditions: Sequence[PromptCondition]) -> dict[str, Moved]:
    """Every way to group the prompts of a run, intervals over the prompts of a group.

    Args:
        run: the run folder.
        conditions: of the objectives that were found.

    Raises:
        RunError: the run has no responses, or they cannot be read.
    """
    file = run / "responses.parquet"
    return told(_moved(str(file), known(file), tuple(conditions)))


@st.cache_data(show_spinner=False, max_entries=20)
def _moved(
    file: str, changed: int, _conditions: tuple[PromptCondition, ...]
) -> dict[str, Moved] | str:
    """What a report says of conditions does not change while its responses stay."""
    del changed  # part of the key only
    return or_why(lambda: _counted(queries.moved_by_prompt(Path(file)), _conditions))


def _counted(rows: pa.Table, conditions: Sequence[PromptCondition]) -> dict[str, Moved]:
    pairs = zip(rows["prompt"].to_pylist(), rows["prompt_type"].to_pylist(), strict=True)
    ways = groupings([asked(prompt or "", kind) for prompt, kind in pairs], conditions)
    sums = np.stack([rows[name].to_numpy().astype(float) for name in ("nats", "answers")], axis=1)
    found: dict[str, Moved] = {}
    for name, way in ways.items():
        group = np.array(way.group)
        each = [_mean(sums[group == at]) for at in range(len(way.labels))]
        told_of = zip(way.labels, each, strict=True)
        found[name] = {label: one for label, one in told_of if one is not None}
    return {name: moved for name, moved in found.items() if len(moved) > 1}


def _mean(sums: np.ndarray) -> Estimate | None:
    return from_sums(sums, np.arange(len(sums)), ratio)
