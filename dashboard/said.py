"""What a token is worth wherever a run says it; what was read is cached."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import streamlit as st

from dashboard import token_queries
from dashboard.states import known, or_why, told
from irl.bootstrap import codes, from_sums, ratio
from irl.records import Estimate

EXTREMES: Final = 4
"Occurrences at either end"


@dataclass(frozen=True)
class SaidBy:
    """How often one policy's responses hold a token, and its mean nats; intervals over prompts."""

    source: str
    times: int
    gained: Estimate | None
    paid: Estimate | None


@dataclass(frozen=True)
class Said:
    """A token over a whole run."""

    by: list[SaidBy]
    extremes: pa.Table
    "where it gained most and least"


def said(run: Path, token: str) -> Said:
    """A token over a whole run.

    Raises:
        RunError: the run has no tokens or responses, or they cannot be read.
    """
    tokens, responses = run / "tokens.parquet", run / "responses.parquet"
    changed = known(tokens), known(responses)
    return told(_said(str(tokens), str(responses), changed, token))


@st.cache_data(show_spinner=False, max_entries=100)
def _said(tokens: str, responses: str, changed: tuple[int, int], token: str) -> Said | str:
    del changed  # part of the key only
    files = Path(tokens), Path(responses)

    def read() -> Said:
        sums = token_queries.sums(*files, token)
        sources = sorted(set(sums["source"].to_pylist()))
        return Said(
            [_by(source, sums) for source in sources],
            token_queries.extremes(*files, token, EXTREMES),
        )

    return or_why(read)


def _by(source: str, sums: pa.Table) -> SaidBy:
    rows = sums.to_pandas()
    here = rows[rows["source"] == source]
    prompts = codes(here["prompt_id"].tolist())

    def mean(column: str) -> Estimate | None:
        if here[column].isna().any():
            return None
        return from_sums(here[[column, "n"]].to_numpy(dtype=float), prompts, ratio)

    return SaidBy(source, int(here["n"].sum()), mean("gained"), mean("paid"))
