"""Audits that the dashboard starts: processes of their own, which outlive the page.

What is run is `irl audit` with settings in a file; nothing that was typed becomes a part of a
command line. A job lies in ROOT/.jobs/NAME (settings, process id, what it printed), and its run in
ROOT/NAME. Interrupted, it goes on where it was when it is started again.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Final, Literal

import yaml

from irl.errors import RunError

FOLDER: Final = ".jobs"
_PRINTED, _PROCESS, _SETTINGS = "printed.txt", "process.json", "settings.yaml"
_started: dict[int, "subprocess.Popen[bytes]"] = {}
"Processes of this server, which must be waited for, or they stay behind as zombies"

State = Literal["working", "finished", "stopped"]


@dataclass(frozen=True)
class Job:
    """A command that was started here."""

    name: str
    root: Path
    process: int

    @property
    def run(self) -> Path:
        """Its run folder."""
        return self.root / self.name

    @property
    def folder(self) -> Path:
        """Where its settings and what it printed lie."""
        return self.root / FOLDER / self.name

    @property
    def state(self) -> State:
        """Stopped, by whatever, is what neither works nor has finished."""
        if _works(self):
            return "working"
        return "finished" if (self.run / "manifest.json").is_file() else "stopped"

    @property
    def last_line(self) -> str:
        """What it printed last: its progress, or why it ended. Untrusted text."""
        try:
            printed = (self.folder / _PRINTED).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        lines = [line for line in printed.replace("\r", "\n").splitlines() if line.strip()]
        return lines[-1] if lines else ""


def start(root: Path, settings: Mapping[str, object]) -> Job:
    """Start `irl audit` with these settings.

    Args:
        root: the folder of runs.
        settings: of the audit, plain values.

    Raises:
        RunError: the folder cannot be written.
    """
    name = f"audit-{datetime.now(UTC):%Y%m%d-%H%M%S}-{token_hex(2)}"
    try:
        (root / FOLDER / name).mkdir(parents=True)
        text = yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True)
        (root / FOLDER / name / _SETTINGS).write_text(text, encoding="utf-8")
    except OSError as error:
        raise RunError(
            f"The folder of runs {root} cannot be written ({error.strerror or error})."
        ) from None
    return go_on(root, name)


def go_on(root: Path, name: str) -> Job:
    """Start a job's command again; it continues where it was.

    Raises:
        RunError: there is no such job.
    """
    folder = root / FOLDER / name
    if not (folder / _SETTINGS).is_file():
        raise RunError(f"There is no job {name}.")
    settings, run = folder / _SETTINGS, root / name
    command = [sys.executable, "-m", "irl", "audit"]
    command += ["--config", str(settings), "--out", str(run)]
    with (folder / _PRINTED).open("ab") as printed:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=printed,
            start_new_session=True,
        )
    _started[process.pid] = process
    (folder / _PROCESS).write_text(json.dumps({"process": process.pid}), encoding="utf-8")
    return Job(name, root, process.pid)


def jobs(root: Path) -> list[Job]:
    """Every job under a root, newest first."""
    found = []
    for file in sorted((root / FOLDER).glob(f"*/{_PROCESS}"), reverse=True):
        with suppress(OSError, ValueError, TypeError, KeyError):
            process = int(json.loads(file.read_text(encoding="utf-8"))["process"])
            found.append(Job(file.parent.name, root, process))
    return found


def stop(job: Job) -> None:
    """Interrupt it, as Ctrl-C would; finished shards are kept."""
    if _works(job):
        with suppress(ProcessLookupError):
            os.killpg(job.process, signal.SIGINT)


def forget(job: Job) -> None:
    """Remove what is kept of a job that does not work; its run stays."""
    if not _works(job):
        shutil.rmtree(job.folder, ignore_errors=True)


def _works(job: Job) -> bool:
    """Whether its process lives; the id may be another process's by now."""
    child = _started.get(job.process)
    if child is not None:
        return child.poll() is None
    return str(job.run) in _command_line(job.process)


def _command_line(process: int) -> str:
    """What a process was started as; empty if there is none, or only its zombie is left."""
    if Path("/proc/self").exists():
        try:
            line = (Path("/proc") / str(process) / "cmdline").read_bytes()
        except OSError:
            return ""
        return line.replace(b"\0", b" ").decode(errors="replace")
    asked = ["ps", "-ww", "-o", "command=", "-p", str(process)]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout
