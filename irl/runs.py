"""Run folders: created, continued, finished, listed.

A run's files are written beside their place and renamed, so that a file that is there is whole.
manifest.json comes last: a folder without it is an unfinished run, and the same command goes on.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from pydantic import ValidationError

from irl.errors import RunError
from irl.records import Manifest, Record

Kind = TypeVar("Kind", bound=Record)
RUNS = Path("artifacts/runs")
CACHE = Path("artifacts/cache")
"What may be removed at any time: embeddings, by content"
_PACKAGES = ("irl-audit", "torch", "transformers", "peft", "scikit-learn")
_TEMPORARY = re.compile(r"\..+\.\d+")
"A file that was being written; see write_whole"
_PARTS = "parts"
"Shards of an unfinished run; removed at its end"


@dataclass(frozen=True)
class RunFolder:
    """One run on disk."""

    path: Path
    run_id: str
    command: str
    settings: dict[str, Any]

    @property
    def finished(self) -> bool:
        """Whether the run has its manifest."""
        return (self.path / "manifest.json").is_file()

    @property
    def parts(self) -> Path:
        """Where shards of an unfinished run lie."""
        return self.path / _PARTS

    def write_text(self, name: str, text: str) -> None:
        """Write a text file whole or not at all."""
        write_text(self.path / name, text)

    def write_table(self, name: str, table: pa.Table) -> None:
        """Write a Parquet file whole or not at all."""
        write_parquet(self.path / name, table)

    def log(self, event: str, **facts: object) -> None:
        """Append one line to log.jsonl."""
        line = json.dumps({"time": now(), "event": event, **facts}, ensure_ascii=False)
        with (self.path / "log.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")

    def finish(self, counts: Mapping[str, int]) -> Manifest:
        """Remove the shards and what a kill has left, hash the files and write the manifest."""
        shutil.rmtree(self.parts, ignore_errors=True)
        for file in self.path.rglob(".*"):
            if _TEMPORARY.fullmatch(file.name):
                file.unlink()
        self.log("finished", **counts)
        files = sorted(file for file in self.path.rglob("*") if file.is_file())
        manifest = Manifest(
            run_id=self.run_id,
            command=self.command,
            created=now(),
            versions=versions(),
            settings=self.settings,
            counts=dict(counts),
            files={
                file.relative_to(self.path).as_posix(): file_sha256(file)
                for file in files
                if file.name not in ("manifest.json", "log.jsonl")
            },
        )
        self.write_text("manifest.json", manifest.to_json())
        return manifest

    def finish_without(self, names: Sequence[str]) -> Manifest:
        """Remove files or folders from a finished run, and finish it again without them."""
        manifest = self.path / "manifest.json"
        counts = read_record(manifest, Manifest).counts
        manifest.unlink()
        for name in names:
            file = self.path / name
            if file.is_dir():
                shutil.rmtree(file)
            else:
                file.unlink(missing_ok=True)
        self.log("removed", files=list(names))
        return self.finish(counts)


@dataclass(frozen=True)
class ListedRun:
    """A folder found under a root, whatever its state."""

    path: Path
    state: Literal["finished", "unfinished", "broken"]
    manifest: Manifest | None

    @property
    def command(self) -> str | None:
        """The job that began it; None if nothing tells."""
        if self.manifest is not None:
            return self.manifest.command
        return _held(self.path / "config.yaml", "command")


def open_run(
    command: str,
    settings: dict[str, Any],
    inputs: Mapping[str, str],
    out: Path | None = None,
    *,
    fresh: bool = False,
) -> RunFolder:
    """Create a run folder, or open the one that this very run has begun or finished.

    Args:
        command: the name of the job.
        settings: its resolved settings, as plain JSON values.
        inputs: the hashes of the checkpoints and files that it reads.
        out: the folder itself; artifacts/runs/<run_id> if None.
        fresh: throw an earlier run in that folder away.

    Raises:
        RunError: the folder cannot be written, or holds something else.
    """
    run_id = run_id_of(command, settings, inputs)
    path = RUNS / run_id if out is None else out
    try:
        _make_room(path, run_id, fresh=fresh)
    except OSError as error:
        if isinstance(error, RunError):
            raise
        raise RunError(
            f"The run folder {path} cannot be written ({error.strerror or error}); give another "
            "folder with --out."
        ) from None
    run = RunFolder(path, run_id, command, settings)
    if not (path / "config.yaml").is_file():
        document = {"run_id": run_id, "command": command, "settings": settings}
        run.write_text("config.yaml", yaml.safe_dump(document, sort_keys=False, allow_unicode=True))
    if not run.finished:
        run.log("opened", run_id=run_id)
    return run


def run_id_of(command: str, settings: dict[str, Any], inputs: Mapping[str, str]) -> str:
    """The name of a run: its job, and a hash of its settings and of what it reads."""
    return f"{command}-{_digest({'settings': settings, 'inputs': dict(inputs)})[:10]}"


def list_runs(root: Path = RUNS) -> list[ListedRun]:
    """Every run folder under a root, newest first."""
    folders = [path for path in root.glob("*") if (path / "config.yaml").is_file()]
    return [read_run(path) for path in sorted(folders, key=_modified, reverse=True)]


def read_run(path: Path) -> ListedRun:
    """The state of one run folder."""
    file = path / "manifest.json"
    if not file.is_file():
        return ListedRun(path, "unfinished", None)
    try:
        manifest = Manifest.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return ListedRun(path, "broken", None)
    return ListedRun(path, "finished", manifest)


def read_record(file: Path, kind: type[Kind]) -> Kind:
    """A report that a finished run holds.

    Raises:
        RunError: it is gone, damaged or of another version.
    """
    try:
        return kind.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        raise RunError(
            f"{file} is missing, damaged or of another version; --fresh repeats the run."
        ) from None


def find_run(name: str, root: Path = RUNS) -> Path:
    """A run folder by its path, or by its id or the beginning of it.

    Raises:
        RunError: there is none, or more than one.
    """
    if (Path(name) / "config.yaml").is_file():
        return Path(name)
    names = [run.path for run in list_runs(root)]
    found = [path for path in names if path.name == name] or [
        path for path in names if path.name.startswith(name)
    ]
    if len(found) == 1:
        return found[0]
    problem = "several runs" if found else "no run"
    raise RunError(f"There is {problem} named {name} under {root}; `irl runs list` shows them.")


def as_named(run: Path, name: str) -> str:
    """A path in a run's settings: seen from here, else from a folder above the run; else the name.

    Settings hold paths as they were given, so that a repository's runs name its models on every
    machine.
    """
    folders = (Path(), *run.resolve().parents)
    found = (folder / name for folder in folders if (folder / name).exists())
    return str(next(found, name))


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    write_whole(path, lambda file: file.write_text(text, encoding="utf-8"))


def write_parquet(path: Path, table: pa.Table) -> None:
    """Write a Parquet file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, lambda file: pq.write_table(table, file, compression="zstd"))


def file_sha256(file: Path) -> str:
    """The hash of a file's bytes."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def versions() -> dict[str, str]:
    """The versions of the packages that numbers depend on."""
    return dict(_installed())


@cache
def _installed() -> tuple[tuple[str, str], ...]:
    return tuple((name, version(name)) for name in _PACKAGES)


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _make_room(path: Path, run_id: str, *, fresh: bool) -> None:
    config = path / "config.yaml"
    if config.is_file():
        held = _held(config, "run_id")
        if held is None:
            raise RunError(f"The folder {path} is not empty and not a run; give another --out.")
        if fresh:
            shutil.rmtree(path)
        elif held != run_id:
            raise RunError(
                f"The folder {path} holds another run ({held}), made with other settings or "
                "inputs; give another --out, or --fresh to replace it."
            )
    elif path.is_dir() and any(path.iterdir()):
        raise RunError(f"The folder {path} is not empty and not a run; give another --out.")
    path.mkdir(parents=True, exist_ok=True)
    probe = path / ".writable"
    probe.touch()
    probe.unlink()


def _held(config: Path, name: str) -> str | None:
    try:
        return str(yaml.safe_load(config.read_text(encoding="utf-8"))[name])
    except (OSError, yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError):
        return None


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file whole or not at all.

    Raises:
        RunError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(temporary)
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise RunError(f"{path} cannot be written ({error.strerror or error}).") from None


def _digest(document: object) -> str:
    text = json.dumps(document, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _modified(path: Path) -> float:
    return (path / "config.yaml").stat().st_mtime


def export_responses(path: Path, to: Path) -> None:
    """Copy responses.parquet of a run into a .csv, .jsonl or .parquet file.

    Raises:
        RunError: the run has no responses, or the file's kind is unknown or cannot be written.
    """
    source = path / "responses.parquet"
    if not source.is_file():
        raise RunError(f"The run {path} has no responses.parquet; repeat its command to finish it.")
    table = pq.read_table(source)
    writers = {
        ".parquet": lambda file: pq.write_table(table, file, compression="zstd"),
        ".csv": lambda file: table.to_pandas().to_csv(file, index=False),
        ".jsonl": lambda file: table.to_pandas().to_json(
            file, orient="records", lines=True, force_ascii=False
        ),
    }
    if to.suffix not in writers:
        raise RunError(f"{to} must end in .csv, .jsonl or .parquet, or in .html for the report.")
    write_whole(to, writers[to.suffix])
