"""Everything that the dashboard reads, and every cache. What cannot be read is a state.

Caches are keyed by path and time of change: run files are replaced whole, never edited.
"""

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import pyarrow as pa
import streamlit as st
from pydantic import BaseModel, RootModel, ValidationError

from dashboard import RUNS_VARIABLE, queries
from dashboard.queries import Histogram, Quantiles, Wanted
from explain.exhibit import read_texts
from explain.shading import COLUMNS as SHADED
from explain.shading import PERCENTILE, Colour
from explain.tokens import Answer, answer
from explain.words import readable_prompt
from irl.bootstrap import codes, from_sums, ratio, share
from irl.errors import RunError
from irl.records import AlignStep, AuditReport, Estimate, Record, ReliabilityBin
from irl.runs import RUNS, ListedRun, list_runs

EXAMPLES: Final = Path(__file__).parents[1] / "artifacts" / "examples"
MODELS: Final = EXAMPLES.parent / "models"
PAGE_SIZE: Final = 15
BINS: Final = 60
ROC_POINTS: Final = 300
LENGTH_EDGES: Final = (-10, -3, 4, 11)
LENGTH_BINS: Final = (
    "11 or more fewer",
    "4 to 10 fewer",
    "3 fewer to 3 more",
    "4 to 10 more",
    "11 or more",
)
"Of the difference in tokens between two answers"
SIDE_BY_SIDE: Final = 6
"Answers of each policy to one prompt that are shown beside each other"
COLUMNS: Final = (
    "response_id",
    "prompt",
    "response",
    "source",
    "n_tokens",
    "log_ratio_nats",
    "reward_nats",
    "reward_low_nats",
    "reward_high_nats",
)

KINDS: Final = {
    "report.json": "an audit report",
    "align.json": "a report of irl align",
    "steps.jsonl": "a course of irl align",
    "extrapolation.json": "a report of irl extrapolate",
    "ensemble.json": "a report of irl ensemble",
    "series.json": "a report of irl drift",
}
"What a file of a run should be"
TRAINING: Final = ("align", "extrapolate", "ensemble")
"Commands whose runs the page about training shows"
SERIES: Final = "drift"
"The command whose runs the page about drift shows beside audits"
Kind = TypeVar("Kind", bound=Record)
Model = TypeVar("Model", bound=BaseModel)
Found = TypeVar("Found")
State = Literal["finished", "unfinished", "broken"]
Order = Literal[
    "as written",
    "log-ratio, high to low",
    "log-ratio, low to high",
    "reward, high to low",
    "reward, low to high",
    "interval of the reward, wide to narrow",
]
ORDERS: Final[dict[Order, tuple[str, str] | None]] = {
    "as written": None,
    "log-ratio, high to low": ("log_ratio_nats", "descending"),
    "log-ratio, low to high": ("log_ratio_nats", "ascending"),
    "reward, high to low": ("reward_nats", "descending"),
    "reward, low to high": ("reward_nats", "ascending"),
    "interval of the reward, wide to narrow": (
        "reward_high_nats - reward_low_nats",
        "descending",
    ),
}
"Order of the responses, and the column and direction that it means"


@dataclass(frozen=True)
class Run:
    """A run folder as the dashboard sees it."""

    name: str
    path: Path
    state: State
    command: str | None
    created: str | None
    report: AuditReport | None
    problem: str | None
    "why there is no report, as a sentence"
    example: bool
    "made for readers, and tracked with the code"


@dataclass(frozen=True)
class Page:
    """Some of the rows that were asked for."""

    rows: pa.Table
    number: int
    n_pages: int
    "at least one, which may be empty"
    n: int
    "over all pages"


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


def roots() -> tuple[Path, ...]:
    """Where runs lie: the folders that the command named, else this folder's runs and examples."""
    named = os.environ.get(RUNS_VARIABLE)
    if named:
        return tuple(Path(part) for part in named.split(os.pathsep) if part)
    return (RUNS, EXAMPLES)


def runs() -> list[Run]:
    """Every run, newest first within its root; of two with one name, the first counts."""
    found: dict[str, Run] = {}
    for root in roots():
        for listed in _listed(root):
            found.setdefault(listed.path.name, _run(listed))
    return list(found.values())


def pairs() -> dict[str, dict[str, Any]]:
    """Settings of the pairs that lie with the models, by name."""
    found: dict[str, dict[str, Any]] = {}
    for folder in sorted(MODELS.glob("*")):
        prompts, labels = folder / "prompts.jsonl", folder / "heldout_preferences.jsonl"
        if not (folder / "aligned").is_dir() or not prompts.is_file():
            continue
        reference = folder / "reference"
        found[folder.name] = {
            "aligned": str(folder / "aligned"),
            "reference": str(reference) if reference.is_dir() else None,
            "prompts": str(prompts),
            "preferences": [str(labels)] if labels.is_file() else None,
        }
    return found


def has_responses(run: Run) -> bool:
    """Whether a finished run has kept what the policies answered."""
    return run.state == "finished" and (run.path / "responses.parquet").is_file()


def is_series(run: Run) -> bool:
    """Whether it looked at the checkpoints of a training."""
    return run.state == "finished" and run.command == SERIES


def delete(run: Run) -> None:
    """Remove a run folder for good; examples, and what lies outside the roots, stay.

    Raises:
        RunError: it is not to be removed, or cannot be.
    """
    if run.example or run.path.parent not in roots() or run.path.is_symlink():
        raise RunError(f"{run.path} is no run of this folder; it stays.")
    try:
        shutil.rmtree(run.path)
    except OSError as error:
        raise RunError(f"{run.path} cannot be removed ({error.strerror or error}).") from None


def responses(
    run: Path,
    *,
    source: str | None = None,
    find: str | None = None,
    order: Order = "as written",
    number: int = 1,
) -> Page:
    """One page of a run's responses.

    Args:
        run: the run folder.
        source: aligned, reference or given; all if None.
        find: text that stands in the prompt or in the response, in whatever case.
        order: over the whole run, not the page; missing values come last.
        number: of the page, from 1; beyond the last means the last.

    Raises:
        RunError: the run has no such table, or it cannot be read.
    """
    file = run / "responses.parquet"
    return _told(_responses(str(file), _known(file), Wanted(source, find), order, number))


def all_responses(run: Path, most: int) -> list[dict[str, Any]]:
    """Every response, in the order written; not kept in a cache.

    Raises:
        RunError: the run has no responses, or they cannot be read.
    """
    file = run / "responses.parquet"
    _known(file)
    rows: list[dict[str, Any]] = queries.page(file, COLUMNS, Wanted(), None, (0, most)).to_pylist()
    return rows


def prompts(run: Path, number: int = 1) -> Page:
    """One page of a run's prompts, by how far the aligned policy has moved on them.

    Raises:
        RunError: the run has no responses, or they cannot be read.
    """
    file = run / "responses.parquet"
    return _told(_prompts(str(file), _known(file), number))


def spread(run: Path) -> Spread:
    """How the log-ratios of both policies' responses are spread.

    Raises:
        RunError: the run has no responses, or they cannot be read.
    """
    file = run / "responses.parquet"
    return _told(_spread(str(file), _known(file)))


def told_apart(run: Path, column: str) -> ToldApart:
    """How well a score tells the policies' answers apart.

    Args:
        run: the run folder.
        column: of the score; this program's own.

    Raises:
        RunError: the run has no responses, or they cannot be read.
    """
    file = run / "responses.parquet"
    return _told(_told_apart(str(file), _known(file), column))


def wrong_pairs(run: Path, column: str, number: int = 1) -> Page:
    """One page of the pairs that a score ranks wrong, the widest margins first.

    Raises:
        RunError: the run has no responses, or they cannot be read.
    """
    file = run / "responses.parquet"
    return _told(_wrong_pairs(str(file), _known(file), column, number))


def response(run: Path, response_id: str) -> dict[str, Any]:
    """One row of a run's responses, whatever page it stands on.

    Raises:
        RunError: the run has no such response, or its table cannot be read.
    """
    file = run / "responses.parquet"
    row = _row(file, _known(file), response_id)
    missing = [name for name in COLUMNS if name not in row]
    if missing:
        raise RunError(f"responses.parquet lacks the columns {', '.join(missing)}.")
    return row | {"prompt": readable_prompt(row["prompt"] or "")}


def answers_to_same_prompt(run: Path, response_id: str) -> list[dict[str, Any]]:
    """The other answers to the prompt of a response, at most `SIDE_BY_SIDE` of each policy.

    Raises:
        RunError: the run has no responses, or they do not tell their prompt.
    """
    file = run / "responses.parquet"
    found = _siblings(str(file), _known(file), response_id)
    if isinstance(found, str):
        raise RunError(found)
    return [row for row in found if row["response_id"] != response_id]


def texts(run: Path, response_ids: Sequence[str]) -> dict[str, str]:
    """Some responses by their ids; empty where the run has not kept them."""
    changed = _changed(run / "responses.parquet")
    return {} if changed is None else _texts(str(run), changed, tuple(response_ids))


def record(run: Path, name: str, kind: type[Kind]) -> Kind:
    """A report that a run holds in a file.

    Raises:
        RunError: it is missing or cannot be read.
    """
    file = run / name
    return _told(_record(str(file), _known(file), kind))


def looks(run: Path) -> list[AlignStep]:
    """What `irl align` has seen so far, finished or not; empty before its first look.

    Raises:
        RunError: it cannot be read.
    """
    file = run / "steps.jsonl"
    changed = _changed(file)
    found = [] if changed is None else _looks(str(file), changed)
    if isinstance(found, str):
        raise RunError(found)
    return found


def tokens(run: Path, response_id: str) -> Answer:
    """The tokens of one response with their nats.

    Raises:
        RunError: the run holds none, or they cannot be read.
    """
    file = run / "tokens.parquet"
    row = _row(file, _known(file), response_id)
    try:
        return answer(response(run, response_id), row)
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"The tokens of this response cannot be read ({error}).") from error


def scale(run: Path, colour: Colour) -> float:
    """Where full colour stands, for every response of a run alike.

    Raises:
        RunError: the run holds no tokens, or they cannot be read.
    """
    file = run / "tokens.parquet"
    return _told(_scale(str(file), _known(file), colour))


def _known(file: Path) -> int:
    changed = _changed(file)
    if changed is None:
        raise RunError(f"This run has no {file.name}.")
    return changed


def _row(file: Path, changed: int, response_id: str) -> dict[str, Any]:
    return _told(_one_row(str(file), changed, response_id))


def _listed(root: Path) -> list[ListedRun]:
    try:
        return list_runs(root)
    except OSError:  # a folder vanished while it was listed
        return []


def _run(listed: ListedRun) -> Run:
    manifest, state = listed.manifest, listed.state
    report: AuditReport | None = None
    problem: str | None = None
    match state:
        case "unfinished":
            problem = "The command that began it continues it."
        case "broken":
            problem = "manifest.json cannot be read; repeat the command with --fresh."
        case "finished" if manifest is not None and manifest.command == "audit":
            read = _report_of(listed.path)
            if isinstance(read, str):
                state, problem = "broken", read
            else:
                report = read
        case _ if listed.command in TRAINING:
            problem = f"A run of irl {listed.command}: the page Ensembles and RLHF shows it."
        case _ if listed.command == SERIES:
            problem = "A run of irl drift: the page Policy drift shows it."
        case _:
            problem = (
                f"A run of irl {listed.command} has no audit report; only its responses are shown."
            )
    return Run(
        name=listed.path.name,
        path=listed.path,
        state=state,
        command=listed.command,
        created=manifest.created if manifest else None,
        report=report,
        problem=problem,
        example=listed.path.parent == EXAMPLES,
    )


def _report_of(run: Path) -> AuditReport | str:
    file = run / "report.json"
    changed = _changed(file)
    if changed is None:
        return "report.json is missing; repeat the command with --fresh."
    return _record(str(file), changed, AuditReport)


@st.cache_data(show_spinner=False, max_entries=500)
def _record(file: str, changed: int, _kind: type[Kind]) -> Kind | str:
    """The report, or a sentence that says why it cannot be read; a file's name tells its kind."""
    del changed  # part of the key only
    return _parsed(Path(file), _kind, lambda text: text)


@st.cache_data(show_spinner=False, max_entries=50)
def _looks(file: str, changed: int) -> list[AlignStep] | str:
    del changed  # part of the key only
    found = _parsed(Path(file), _Looks, lambda text: b"[" + b",".join(text.splitlines()) + b"]")
    return found if isinstance(found, str) else found.root


class _Looks(RootModel[list[AlignStep]]):
    """The lines of steps.jsonl."""


def _parsed(file: Path, kind: type[Model], document: Callable[[bytes], bytes]) -> Model | str:
    try:
        return kind.model_validate_json(document(file.read_bytes()))
    except OSError as error:
        return f"{file.name} cannot be read ({error.strerror or error})."
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        return f"{file.name} is not {KINDS[file.name]}: {first['msg']}{where and f' (at {where})'}."


@st.cache_data(show_spinner=False, max_entries=100)
def _responses(file: str, changed: int, wanted: Wanted, order: Order, number: int) -> Page | str:
    """The page, or a sentence that says why it cannot be read."""
    del changed  # part of the key only
    return _or_why(lambda: _page(Path(file), wanted, order, number))


def _page(file: Path, wanted: Wanted, order: Order, number: int) -> Page:
    missing = sorted(set(COLUMNS) - set(queries.columns(file)), key=COLUMNS.index)
    if missing:
        raise RunError(f"{file.name} lacks the columns {', '.join(missing)}.")
    n = queries.count(file, wanted)
    n_pages = max(1, -(-n // PAGE_SIZE))
    number = min(max(number, 1), n_pages)
    place = (number - 1) * PAGE_SIZE, PAGE_SIZE
    rows = queries.page(file, COLUMNS, wanted, ORDERS[order], place)
    return Page(_readable(rows), number, n_pages, n)


@st.cache_data(show_spinner=False, max_entries=100)
def _prompts(file: str, changed: int, number: int) -> Page | str:
    del changed  # part of the key only

    def page() -> Page:
        rows = queries.prompts(Path(file), ((number - 1) * PAGE_SIZE, PAGE_SIZE))
        n = rows["prompts"][0].as_py() if rows.num_rows else 0
        return Page(_readable(rows), number, max(1, -(-n // PAGE_SIZE)), n)

    return _or_why(page)


@st.cache_data(show_spinner=False, max_entries=100)
def _told_apart(file: str, changed: int, column: str) -> ToldApart | str:
    del changed  # part of the key only

    def read() -> ToldApart:
        at = Path(file)
        curve = queries.roc(at, column, ROC_POINTS)
        bins = queries.reliability(at, column).to_pylist()
        return ToldApart(
            pairs=sum(one["n"] for one in bins),
            roc=(curve["fpr"].to_pylist(), curve["tpr"].to_pylist()),
            bins=[ReliabilityBin.model_validate(one) for one in bins],
            by_length=_by_length(queries.right_by_length(at, column, LENGTH_EDGES)),
        )

    return _or_why(read)


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
def _wrong_pairs(file: str, changed: int, column: str, number: int) -> Page | str:
    del changed  # part of the key only

    def page() -> Page:
        rows = queries.wrong_pairs(Path(file), column, ((number - 1) * PAGE_SIZE, PAGE_SIZE))
        n = rows["pairs"][0].as_py() if rows.num_rows else 0
        return Page(_readable(rows), number, max(1, -(-n // PAGE_SIZE)), n)

    return _or_why(page)


@st.cache_data(show_spinner=False, max_entries=100)
def _spread(file: str, changed: int) -> Spread | str:
    del changed  # part of the key only
    return _or_why(
        lambda: Spread(queries.histogram(Path(file), BINS), queries.quantiles(Path(file)))
    )


def _readable(rows: pa.Table) -> pa.Table:
    """Prompts as people write them down."""
    prompts = [readable_prompt(text or "") for text in rows["prompt"].to_pylist()]
    at = rows.column_names.index("prompt")
    return rows.set_column(at, "prompt", pa.array(prompts, pa.string()))


@st.cache_data(show_spinner=False, max_entries=200)
def _one_row(file: str, changed: int, response_id: str) -> dict[str, Any] | str:
    """The row of a response, or a sentence that says why there is none."""
    del changed  # part of the key only
    return _or_why(lambda: queries.row(Path(file), response_id))


@st.cache_data(show_spinner=False, max_entries=100)
def _siblings(file: str, changed: int, response_id: str) -> list[dict[str, Any]] | str:
    del changed  # part of the key only
    names = ("response_id", "source", "response", "log_ratio_nats", "reward_nats")
    return _or_why(
        lambda: queries.answers(Path(file), names, response_id, SIDE_BY_SIDE).to_pylist()
    )


@st.cache_data(show_spinner=False, max_entries=100)
def _texts(run: str, changed: int, response_ids: tuple[str, ...]) -> dict[str, str]:
    del changed  # part of the key only
    return read_texts(Path(run), response_ids)


@st.cache_data(show_spinner=False, max_entries=100)
def _scale(file: str, changed: int, colour: Colour) -> float | str:
    """Where full colour stands, or a sentence that says why nobody knows."""
    del changed  # part of the key only
    return _or_why(
        lambda: queries.strongest_quantile(Path(file), SHADED[colour], PERCENTILE / 100) or 1.0
    )


def _told(found: Found | str) -> Found:
    if isinstance(found, str):
        raise RunError(found)
    return found


def _or_why(read: Callable[[], Found]) -> Found | str:
    """What was read, or a sentence that says why it cannot be: a cache keeps no errors."""
    try:
        return read()
    except RunError as error:
        return str(error)


def _changed(file: Path) -> int | None:
    """When a file was last replaced; None if it is not there."""
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return None
