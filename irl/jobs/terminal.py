"""What long jobs say on a terminal: how far they are, and that they can go on."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import typer


def progress() -> Callable[[str, int, int], None]:
    """One line per stage; on a terminal it counts up."""

    def show(what: str, done: int, total: int) -> None:
        if sys.stderr.isatty():
            typer.echo(f"\r{what} {done}/{total} ", err=True, nl=done == total)
        elif done == total:
            typer.echo(f"{what} {done}/{total}", err=True)

    return show


def nothing_done(folder: Path) -> None:
    """A run was found finished."""
    typer.echo(f"The run in {folder} is finished; --fresh repeats it.", err=True)


@contextmanager
def answers_alone() -> Iterator[BinaryIO]:
    """Where stdout led; meanwhile whatever else is printed, by whatever library, goes to stderr."""
    sys.stdout.flush()
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)
        try:
            yield answers
        finally:
            sys.stdout.flush()
            os.dup2(answers.fileno(), 1)


def interrupted(*_: object) -> None:
    """Ctrl-C. As SystemExit, since the command parser would answer KeyboardInterrupt itself."""
    typer.echo("irl: interrupted; the same command continues from the finished files", err=True)
    sys.exit(130)
