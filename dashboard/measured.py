"""What is counted over all responses of a run: spread, prompts, and what scores tell apart."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import streamlit as st

from dashboard import pair_queries, queries, truth_queries
from dashboard.answers import Page, paged
from dashboard.queries import Histogram, Quantiles
from dashboard.states import known, or_why, told
from explain.recovery_figures import Cells
from irl.bootstrap import codes, from_sums, ratio, share
from irl.records import Estimate, ReliabilityBin

BINS: Final = 60
ROC_POINTS: Final = 300
CELLS: Final = 48
"Along either axis of true reward and score"
LENGTH_EDGES: Final = (-10, -3, 4, 11)
LENGTH_BINS: Final = (
    "at least 11 fewer",
    "4 to 10 fewer",
    "3 fewer to 3 more",
    "4 to 10 more",
    "at least 11 more",
)
"Of the difference in tokens between two answers"


@dataclass(frozen=True)
class Spread:
    """Log-ratios of both policies' responses."""

    histogram: Histogram
    quantiles: Quantiles


@dataclass(frozen=True)
class ToldApart:
    """What a score makes of pairs, one answer of each policy to the same prompt."""

    pairs: int
    roc: tuple[list[float], list[float]]
    "(fpr, tpr) from the highest score on"
    bins: list[ReliabilityBin]
    by_length: list[Estimate | None]
    "share of pairs ranked right in each of LENGTH_BINS"


def prompts(run: Path, number: int = 1) -> Page:
    """One page of a run's prompts, by how far the aligned policy has moved on them.

    Raises:
        RunError: the run has no responses, or they cannot be read.
    """
    file = run / "responses.parquet"
    return told(_prompts(str(file), known(file), number))


def spread(run: Path) -> Spread:
    """How the log-ratios of both policies' responses are spread.

    Raises:
        RunError: the run has no responses, or they cannot be read.
    """
    file = run / "responses.parquet"
    return told(_spread(str(file), known(file)))


def told_apart(run: Path, column: str) -> ToldApart:
    """How well a score tells the policies' answers apart.

    Args:
        run: the run folder.
        column: of the score; this program's own.

    Raises:
        RunError: the run has no responses, or they cannot be read.
    """
    file = run / "responses.parquet"
    return told(_told_apart(str(file), known(file), column))


def against_truth(run: Path, column: str) -> Cells | None:
    """Answers in cells of true reward and score; None where the run does not know both.

    Raises:
        RunError: the run has no responses, or they cannot be read.
    """
    file = run / "responses.parquet"
    return told(_against_truth(str(file), known(file), column))


def wrong_pairs(run: Path, column: str, number: int = 1) -> Page:
    """One page of the pairs that a score ranks wrong, the widest margins first.

    Raises:
        RunError: the run has no responses, or they cannot be read.
    """
    file = run / "responses.parquet"
    return told(_wrong_pairs(str(file), known(file), column, number))


@st.cache_data(show_spinner=False, max_entries=100)
def _prompts(file: str, changed: int, number: int) -> Page | str:
    del changed  # part of the key only

    return or_why(lambda: paged(lambda at: queries.prompts(Path(file), at), "prompts", number))


@st.cache_data(show_spinner=False, max_entries=100)
def _told_apart(file: str, changed: int, column: str) -> ToldApart | str:
    del changed  # part of the key only

    def read() -> ToldApart:
        at = Path(file)
        curve = pair_queries.roc(at, column, ROC_POINTS)
        bins = pair_queries.reliability(at, column).to_pylist()
        return ToldApart(
            pairs=sum(one["n"] for one in bins),
            roc=(curve["fpr"].to_pylist(), curve["tpr"].to_pylist()),
            bins=[ReliabilityBin.model_validate(one) for one in bins],
            by_length=_by_length(pair_queries.right_by_length(at, column, LENGTH_EDGES)),
        )

    return or_why(read)


def _by_length(hits: pa.Table) -> list[Estimate | None]:
    """Shares with their intervals over prompts."""
    rows = hits.to_pandas()
    found = []
    for at in range(len(LENGTH_BINS)):
        here = rows[rows["bin"] == at]
        sums = here[["hits", "n"]].to_numpy(dtype=float)
        found.append(share(from_sums(sums, codes(here["prompt_id"].tolist()), ratio)))
    return found


@st.cache_data(show_spinner=False, max_entries=100)
def _against_truth(file: str, changed: int, column: str) -> Cells | str | None:
    del changed  # part of the key only
    return or_why(lambda: truth_queries.truth_cells(Path(file), column, CELLS))


@st.cache_data(show_spinner=False, max_entries=100)
def _wrong_pairs(file: str, changed: int, column: str, number: int) -> Page | str:
    del changed  # part of the key only

    def pairs(at: tuple[int, int]) -> pa.Table:
        return pair_queries.wrong_pairs(Path(file), column, at)

    return or_why(lambda: paged(pairs, "pairs", number))


@st.cache_data(show_spinner=False, max_entries=100)
def _spread(file: str, changed: int) -> Spread | str:
    del changed  # part of the key only
    return or_why(
        lambda: Spread(queries.histogram(Path(file), BINS), queries.quantiles(Path(file)))
    )
