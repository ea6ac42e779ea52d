"""Folders that workers write to themselves: every node must see them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from irl.errors import InputError, RunError


@contextmanager
def seen_by_workers(folder: Path) -> Iterator[Path]:
    """A file in a folder by which workers know it; gone afterwards.

    Raises:
        RunError: the folder cannot be written.
    """
    marker = folder.absolute() / f".seen.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        marker.touch()
    except OSError as error:
        raise RunError(f"{folder} cannot be written ({error.strerror or error}).") from None
    try:
        yield marker
    finally:
        marker.unlink(missing_ok=True)


def refuse_unseen(marker: Path) -> None:
    """What a worker says that sees another file system.

    Raises:
        InputError: the marker is not there.
    """
    if not marker.is_file():
        raise InputError(
            f"A worker does not see the folder {marker.parent} that it is to write to; give "
            "--out on a file system that every node of the cluster shares."
        )
