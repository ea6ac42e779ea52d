"""Work in parts whose results are files: finished files are reused after an interruption.

Each part becomes folder/NAME-00000.parquet, written beside its place and renamed, and then one line
of folder/NAME.jsonl, the manifest: rows, hash of the file, and a key of all that the rows depend on
(what went in, the settings, the versions of the code). A file counts as finished if its line is
there, the file has the hash of the line, and the key is that of the work at hand. Whenever a
process is killed, at most the part in flight is lost.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from irl.runs import file_sha256, versions, write_parquet

Part = TypeVar("Part")
Progress = Callable[[str, int, int], None]


def silent(what: str, done: int, total: int) -> None:
    """Report no progress."""


@dataclass(frozen=True)
class Shards:
    """Where parts of one kind are kept, and what their rows depend on besides the part itself."""

    folder: Path
    name: str
    made_with: Mapping[str, object] = field(default_factory=dict)

    @property
    def manifest(self) -> Path:
        """One line per finished part; the last line of a part counts."""
        return self.folder / f"{self.name}.jsonl"

    def file(self, index: int) -> Path:
        """Where the rows of a part lie."""
        return self.folder / f"{self.name}-{index:05d}.parquet"

    def finished(self) -> dict[int, dict[str, Any]]:
        """The lines of the manifest by part; a line that a kill has cut is passed over."""
        if not self.manifest.is_file():
            return {}
        lines = {}
        for line in self.manifest.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                entry = json.loads(line)
                lines[int(entry["part"])] = entry
            except (ValueError, TypeError, KeyError):
                continue
        return lines

    def key(self, part: object) -> str:
        """A hash of all that the rows of a part depend on; who computes them is not part of it."""
        document = json.dumps([self.made_with, versions()], sort_keys=True, default=str)
        return hashlib.sha256(f"{document}{part!r}".encode()).hexdigest()

    def holds(self, index: int, entry: Mapping[str, Any] | None, key: str) -> bool:
        """Whether a part is finished and whole."""
        file = self.file(index)
        if entry is None or entry.get("key") != key or not file.is_file():
            return False
        return file_sha256(file) == entry.get("sha256")

    def read(self, index: int) -> pa.Table:
        """The rows of a finished part."""
        return pq.read_table(self.file(index))

    def keep(self, index: int, table: pa.Table, key: str) -> None:
        """Write the rows of a part, then its line."""
        file = self.file(index)
        write_parquet(file, table)
        entry = {
            "part": index,
            "rows": table.num_rows,
            "sha256": file_sha256(file),
            "key": key,
            "made_with": dict(self.made_with),
            "versions": versions(),
        }
        with self.manifest.open("a+b") as stream:
            stream.write(_after_a_cut_line(stream) + json.dumps(entry).encode() + b"\n")


def each_part(
    shards: Shards,
    parts: Sequence[Part],
    compute: Callable[[int, Part], pa.Table],
    progress: Progress = silent,
) -> Iterator[pa.Table]:
    """The rows of each part, computed or read if they are there whole; none is kept in memory."""
    finished = shards.finished()
    for index in range(len(parts)):
        part = parts[index]
        key = shards.key(part)
        if shards.holds(index, finished.get(index), key):
            table = shards.read(index)
        else:
            table = compute(index, part)
            shards.keep(index, table, key)
        progress(shards.name, index + 1, len(parts))
        yield table


def run_parts(
    shards: Shards,
    parts: Sequence[Part],
    compute: Callable[[int, Part], pa.Table],
    progress: Progress = silent,
) -> pa.Table:
    """The rows of all parts, in order; see `each_part`."""
    return pa.concat_tables(each_part(shards, parts, compute, progress))


def slices(items: Sequence[Part], size: int) -> list[Sequence[Part]]:
    """Consecutive parts of at most `size` items."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def _after_a_cut_line(stream: BinaryIO) -> bytes:
    """A line feed, if the manifest does not end in one."""
    if stream.seek(0, os.SEEK_END) == 0:
        return b""
    stream.seek(-1, os.SEEK_END)
    return b"" if stream.read(1) == b"\n" else b"\n"
