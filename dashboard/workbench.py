"""The models of a workbench: a process of its own, which scores what is typed and can be ended.

It is `irl workbench RUN`, where RUN is the folder of a listed run; what was typed goes through a
pipe, as JSON, and no further. One pair is held at a time. The process ends with the dashboard: its
questions end then. It downloads nothing.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from queue import Empty, Queue
from re import compile as pattern
from tempfile import TemporaryFile
from threading import Lock, Thread
from typing import Any, Final

from pydantic import ValidationError

from dashboard.states import known
from irl.errors import RunError
from irl.records.workbench import TypedAnswers, TypedQuestion
from irl.runs import as_named

LOADING_SECONDS: Final = 900.0
SCORING_SECONDS: Final = 600.0
_HUB_ID: Final = pattern(r"[\w.-]+(/[\w.-]+)?")


class Workbench:
    """At most one pair in memory; questions wait for each other."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._child: _Child | None = None

    @property
    def held(self) -> Path | None:
        """The run whose pair is in memory."""
        child = self._child
        return child.run if child is not None and child.lives else None

    @property
    def memory_bytes(self) -> int | None:
        """What the process holds; None where the system does not tell, or there is none."""
        child = self._child
        return None if child is None else child.memory_bytes

    def ask(self, run: Path, question: TypedQuestion) -> TypedAnswers:
        """Score; the pair of the run is loaded if it is not the one in memory.

        Args:
            run: the folder of a listed audit.
            question: what was typed.

        Raises:
            RunError: it cannot be scored; the sentence says why.
        """
        with self._lock:
            said = self._ready(run).ask(question, SCORING_SECONDS)
        try:
            return TypedAnswers.model_validate(said["answered"])
        except (KeyError, ValidationError):
            raise RunError(_sentence(said)) from None

    def free(self) -> None:
        """End the process, and with it whatever it is doing."""
        child, self._child = self._child, None
        if child is not None:
            child.end()

    def _ready(self, run: Path) -> "_Child":
        changed, child = known(run / "manifest.json"), self._child
        if child is not None and child.lives and (child.run, child.changed) == (run, changed):
            return child
        self.free()
        self._child = child = _Child(run, changed)
        said = child.heard(LOADING_SECONDS)
        if "ready" not in said:
            self.free()
            raise RunError(_sentence(said))
        return child


class _Child:
    """The process of one run."""

    def __init__(self, run: Path, changed: int) -> None:
        self.run, self.changed = run, changed
        self._freed = False
        self._printed = TemporaryFile()  # noqa: SIM115 - closed when the process has ended
        self._process = subprocess.Popen(
            [sys.executable, "-m", "irl", "workbench", str(run)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._printed,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
            start_new_session=True,
        )
        self._lines: Queue[bytes | None] = Queue()
        self._listener = Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def lives(self) -> bool:
        return self._process.poll() is None

    @property
    def memory_bytes(self) -> int | None:
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
            (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
            return int(line.split()[1]) * 1024
        except (OSError, ValueError):
            return None

    def ask(self, question: TypedQuestion, seconds: float) -> Mapping[str, Any]:
        """What it says to a question.

        Raises:
            RunError: it has ended, or takes longer than that.
        """
        pipe = self._process.stdin
        assert pipe is not None
        with suppress(OSError, ValueError):  # what became of it is heard below
            pipe.write(question.model_dump_json().encode() + b"\n")
            pipe.flush()
        return self.heard(seconds)

    def heard(self, seconds: float) -> Mapping[str, Any]:
        """The next thing it says.

        Raises:
            RunError: it has ended, or takes longer than that; then it is ended.
        """
        try:
            line = self._lines.get(timeout=seconds)
        except Empty:
            self.end()
            raise RunError(
                f"The models took more than {seconds:.0f} seconds and were freed; ask for less."
            ) from None
        try:
            said = None if line is None else json.loads(line)
        except ValueError:
            said = None
        if not isinstance(said, dict):
            raise RunError(self._why())
        return said

    def end(self) -> None:
        """End it, if it has not ended by itself."""
        self._freed = True
        self._process.kill()
        self._process.wait()
        self._listener.join()
        for stream in (self._process.stdin, self._process.stdout, self._printed):
            if stream is not None:
                with suppress(OSError):  # a question that was on its way
                    stream.close()

    def _listen(self) -> None:
        """Pass on its lines as they come; None at the end."""
        assert self._process.stdout is not None
        with suppress(OSError, ValueError):
            for line in self._process.stdout:
                self._lines.put(line)
        self._lines.put(None)

    def _why(self) -> str:
        """Why it has ended; what it printed last is untrusted text."""
        if self._freed:
            return "The models were freed; the next score loads them again."
        self._process.wait()
        self._printed.seek(0)
        printed = self._printed.read().decode(errors="replace").splitlines()
        last = next((line for line in reversed(printed) if line.strip()), "it printed nothing")
        code = self._process.returncode
        return f"The process of the models has ended (exit code {code}): {last}"


def missing(settings: Mapping[str, Any], run: Path) -> list[str]:
    """The checkpoints of an audit that are not at hand; what may be a hub id is not judged here.

    Args:
        settings: of the audit.
        run: its folder.
    """
    names = [str(settings[side]) for side in ("aligned", "reference") if settings.get(side)]
    paths = [name for name in names if not _HUB_ID.fullmatch(name)]
    return [name for name in paths if not Path(as_named(run, name)).expanduser().is_dir()]


def _sentence(said: Mapping[str, Any]) -> str:
    return str(said.get("error", "The process of the models answered in another language."))
