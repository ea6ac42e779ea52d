"""The runs and their reports, as the dashboard sees them. What cannot be read is a state."""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import streamlit as st
from pydantic import BaseModel, RootModel, ValidationError

from dashboard import RUNS_VARIABLE
from dashboard.states import known, last_change, told
from irl.errors import RunError
from irl.records import AlignStep, AuditReport, Record
from irl.runs import RUNS, ListedRun, list_runs

EXAMPLES: Final = Path(__file__).parents[1] / "artifacts" / "examples"
MODELS: Final = EXAMPLES.parent / "models"
KINDS: Final = {
    "report.json": "an audit report",
    "align.json": "a report of irl align",
    "steps.jsonl": "a course of irl align",
    "extrapolation.json": "a report of irl extrapolate",
    "ensemble.json": "a report of irl ensemble",
    "best_of_n.json": "a report of irl best-of-n",
    "trust.json": "a report of irl trust",
    "prompts.json": "a report of irl prompts",
    "series.json": "a report of irl drift",
    "recovery.json": "a report of irl recover",
}
"What a file of a run should be"
TRAINING: Final = ("align", "extrapolate", "ensemble", "best-of-n")
"Commands whose runs the page about training shows"
TRUST: Final = ("trust", "prompts")
"Commands whose runs the page about trust shows"
TRUST_FILE: Final = "trust.json"
"Full audits hold one too"
SERIES: Final = "drift"
"The command whose runs the page about drift shows beside audits"
RECOVERY: Final = "recover"
"The command whose runs the page about accuracy shows beside audits"
PAGE_OF: Final[Mapping[str | None, str]] = {
    **dict.fromkeys(TRAINING, "Ensembles and RLHF"),
    **dict.fromkeys(TRUST, "Trust"),
    SERIES: "Policy drift",
    RECOVERY: "Reward accuracy",
}
"Titles of the pages that show runs of other commands than audit"
Kind = TypeVar("Kind", bound=Record)
Model = TypeVar("Model", bound=BaseModel)
State = Literal["finished", "unfinished", "broken"]


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


def is_recovery(run: Run) -> bool:
    """Whether it recovered a reward by one method, without judging the pair."""
    return run.state == "finished" and run.command == RECOVERY


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


def record(run: Path, name: str, kind: type[Kind]) -> Kind:
    """A report that a run holds in a file.

    Raises:
        RunError: it is missing or cannot be read.
    """
    file = run / name
    return told(_record(str(file), known(file), kind))


def looks(run: Path) -> list[AlignStep]:
    """What `irl align` has seen so far, finished or not; empty before its first look.

    Raises:
        RunError: it cannot be read.
    """
    file = run / "steps.jsonl"
    changed = last_change(file)
    return [] if changed is None else told(_looks(str(file), changed))


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
        case _ if listed.command in PAGE_OF:
            page = PAGE_OF[listed.command]
            problem = f"A run of irl {listed.command}: the page {page} shows it."
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
    changed = last_change(file)
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
