"""Work in parts whose results are files: finished files are reused after an interruption."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from irl.runs import write_parquet

Part = TypeVar("Part")
Progress = Callable[[str, int, int], None]


def silent(what: str, done: int, total: int) -> None:
    """Report no progress."""


def run_parts(
    folder: Path,
    name: str,
    parts: Sequence[Part],
    compute: Callable[[int, Part], pa.Table],
    progress: Progress = silent,
) -> pa.Table:
    """Compute each part into folder/name-00000.parquet, or read it if it is there whole."""
    tables = []
    for index, part in enumerate(parts):
        file = folder / f"{name}-{index:05d}.parquet"
        table = _finished(file)
        if table is None:
            table = compute(index, part)
            write_parquet(file, table)
        tables.append(table)
        progress(name, index + 1, len(parts))
    return pa.concat_tables(tables)


def slices(items: Sequence[Part], size: int) -> list[Sequence[Part]]:
    """Consecutive parts of at most `size` items."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def _finished(file: Path) -> pa.Table | None:
    if not file.is_file():
        return None
    try:
        return pq.read_table(file)
    except (OSError, pa.ArrowException):
        return None
