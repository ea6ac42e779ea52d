"""What cannot be read is a state: a sentence that a cache keeps, and that a page shows.

Caches are keyed by path and time of change: run files are replaced whole, never edited.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from irl.errors import RunError

Found = TypeVar("Found")


def known(file: Path) -> int:
    """When a file was last replaced.

    Raises:
        RunError: it is not there.
    """
    changed = last_change(file)
    if changed is None:
        raise RunError(f"This run has no {file.name}.")
    return changed


def told(found: Found | str) -> Found:
    """What a cache holds.

    Raises:
        RunError: a sentence, where it could not be read.
    """
    if isinstance(found, str):
        raise RunError(found)
    return found


def or_why(read: Callable[[], Found]) -> Found | str:
    """What was read, or a sentence that says why it cannot be: a cache keeps no errors."""
    try:
        return read()
    except RunError as error:
        return str(error)


def last_change(file: Path) -> int | None:
    """When a file was last replaced; None if it is not there."""
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return None
