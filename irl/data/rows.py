"""From a file or a hub dataset to rows with line numbers; nothing is dropped silently.

1. The bytes are read once: what is parsed is what the sha256 names.
2. Each format yields, line by line, the columns of a row or the reason why it cannot be read.
3. The reader's own `parse` turns the columns into results, or refuses them with a `RowError`.
"""

import csv
import hashlib
import io
import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeAlias, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from irl.errors import InputError

T = TypeVar("T")
Cells: TypeAlias = dict[str, object]

_BOM = b"\xef\xbb\xbf"
SUFFIXES = (".jsonl", ".json", ".parquet", ".csv")
_WANTED = (
    "a .jsonl or .json file with one object per line, a .parquet or .csv file, "
    "or a hub dataset id such as owner/name or owner/name:split"
)
_HUB_ID = re.compile(r"(?P<name>\w[\w.-]{0,95}/\w[\w.-]{0,95})(:(?P<split>\S+))?", re.ASCII)


class RowError(ValueError):
    """Why one row is refused. It never leaves this package: it becomes a `RefusedRow`."""


Lines: TypeAlias = list[tuple[int, Cells | RowError]]


@dataclass(frozen=True)
class RefusedRow:
    """A row that was not used, and why."""

    line: int
    "1-based: the line of a JSONL file, else the row (of a CSV file without its header)"
    reason: str


@dataclass(frozen=True)
class Table(Generic[T]):
    """What a source gave: the usable rows and the refused ones, both in the order of the source."""

    rows: tuple[T, ...]
    refused: tuple[RefusedRow, ...]
    source: str
    "the path or the hub id, as given"
    sha256: str
    "of the bytes of the file; of the canonical JSON of the rows for a hub id"


@dataclass(frozen=True)
class Columns:
    """The column names that a reader understands."""

    alternatives: tuple[tuple[str, ...], ...]
    "each of these sets of columns is enough"
    optional: tuple[str, ...] = ()

    @property
    def known(self) -> set[str]:
        """All names that are worth reading."""
        return {name for names in self.alternatives for name in names} | {*self.optional}

    def __str__(self) -> str:
        text = " or ".join("+".join(names) for names in self.alternatives)
        return f"{text} (optional: {', '.join(self.optional)})" if self.optional else text


@dataclass(frozen=True)
class _Content:
    columns: tuple[str, ...]
    lines: Lines
    sha256: str


def read_table(
    source: str | Path, columns: Columns, parse: Callable[[int, Cells], tuple[T, ...]]
) -> Table[T]:
    """Read every row of a source.

    Args:
        source: a file, or a hub dataset id if there is no such file.
        columns: what `parse` understands; other columns may not be read at all.
        parse: line and columns to results; raises `RowError` to refuse the row.

    Raises:
        InputError: the source cannot be read, lacks the columns or has no usable row.
    """
    content = _content(str(source), columns)
    rows: list[T] = []
    refused: list[RefusedRow] = []
    for line, cells in content.lines:
        try:
            rows.extend(parse(line, _readable(cells)))
        except RowError as error:
            refused.append(RefusedRow(line, str(error)))
    if not rows:
        raise InputError(_nothing_usable(str(source), refused))
    return Table(tuple(rows), tuple(refused), str(source), content.sha256)


def is_message(value: object) -> bool:
    """Whether this is a chat message: an object with a role and a content, both strings."""
    return isinstance(value, dict) and all(
        isinstance(value.get(key), str) for key in ("role", "content")
    )


def _readable(cells: Cells | RowError) -> Cells:
    if isinstance(cells, RowError):
        raise cells
    return cells


def _nothing_usable(source: str, refused: list[RefusedRow]) -> str:
    if not refused:
        return f"{source} has no rows; give {_WANTED}."
    first = refused[0]
    return (
        f"{source} has no usable row: {len(refused)} refused, the first on line {first.line} "
        f"({first.reason}); correct the rows or give another source."
    )


def _content(source: str, columns: Columns) -> _Content:
    path = Path(source)
    suffix = path.suffix.lower()
    hub_id = _HUB_ID.fullmatch(source) if suffix not in SUFFIXES else None
    if hub_id and not path.exists():
        content = _from_hub(source, hub_id["name"], hub_id["split"] or "train", columns)
    else:
        content = _from_bytes(source, suffix, _bytes(path), columns)
    _require_columns(source, content.columns, columns)
    return content


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"There is no file {path}; give {_WANTED}.") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a directory; give {_WANTED}.") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({_one_line(error)}); give {_WANTED}.") from None


def _from_bytes(source: str, suffix: str, data: bytes, columns: Columns) -> _Content:
    match suffix:
        case ".jsonl" | ".json":
            names, lines = _json_lines(data)
        case ".csv":
            names, lines = _csv_rows(source, data)
        case ".parquet":
            names, lines = _parquet_rows(source, data, columns)
        case _:
            raise InputError(f"{source} ends in {suffix or 'no suffix'}; give {_WANTED}.")
    return _Content(names, lines, hashlib.sha256(data).hexdigest())


def _require_columns(source: str, found: tuple[str, ...], columns: Columns) -> None:
    twice = sorted({name for name in found if found.count(name) > 1} & columns.known)
    if twice:
        raise InputError(f"{source} has the column {twice[0]} more than once; rename one of them.")
    if found and not any({*names} <= {*found} for names in columns.alternatives):
        raise InputError(
            f"{source} has the columns {', '.join(found)}; expected {columns}: rename the columns."
        )


def _json_lines(data: bytes) -> tuple[tuple[str, ...], Lines]:
    # Only \n ends a line: JSON strings may hold the other characters that splitlines() obeys.
    lines = data.removeprefix(_BOM).split(b"\n")
    while lines and not lines[-1].strip():
        lines.pop()
    rows = [_json_object(line) for line in lines]
    names = dict.fromkeys(name for row in rows if isinstance(row, dict) for name in row)
    return tuple(names), list(enumerate(rows, start=1))


def _json_object(line: bytes) -> Cells | RowError:
    if not line.strip():
        return RowError("blank line")
    try:
        value = json.loads(line.decode())
    except UnicodeDecodeError:
        return RowError("not valid UTF-8")
    except json.JSONDecodeError as error:
        return RowError(f"not valid JSON: {error.msg} at column {error.colno}")
    except (ValueError, RecursionError) as error:
        return RowError(f"not readable JSON: {_one_line(error)}")
    if isinstance(value, dict):
        return value
    return RowError(f"a JSON {type(value).__name__}, but every line must be one JSON object")


def _csv_rows(source: str, data: bytes) -> tuple[tuple[str, ...], Lines]:
    text = data.removeprefix(_BOM).decode(errors="surrogateescape")
    records = list(_csv_records(text))
    while records and records[-1] == []:
        records.pop()
    if not records:
        return (), []
    header, *rows = records
    if isinstance(header, RowError):
        raise InputError(f"The header of {source} is {header}; correct the first line.")
    return tuple(header), [(n, _csv_cells(header, row)) for n, row in enumerate(rows, start=1)]


def _csv_records(text: str) -> Iterator[list[str] | RowError]:
    with _long_csv_fields():
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        while True:
            try:
                yield next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield RowError(f"not valid CSV: {error}")


@contextmanager
def _long_csv_fields() -> Iterator[None]:
    # The module's limit of 131072 characters is global; long prompts exceed it.
    before = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _csv_cells(header: list[str], row: list[str] | RowError) -> Cells | RowError:
    if isinstance(row, RowError):
        return row
    if not row:
        return RowError("blank line")
    if len(row) != len(header):
        return RowError(f"{len(row)} cells, but the header has {len(header)}")
    if not is_unicode("".join(row)):
        return RowError("not valid UTF-8")
    return {name: _chat_or_text(cell) for name, cell in zip(header, row, strict=True)}


def is_unicode(text: str) -> bool:
    """Whether the text can be written as UTF-8: lone surrogates cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _chat_or_text(cell: str) -> object:
    if not cell.lstrip().startswith("["):
        return cell
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError):
        return cell
    return value if value and all(map(is_message, value)) else cell


def _parquet_rows(source: str, data: bytes, columns: Columns) -> tuple[tuple[str, ...], Lines]:
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        names = tuple(file.schema_arrow.names)
        table = file.read(columns=[name for name in names if name in columns.known])
    except (pa.ArrowException, OSError, ValueError) as error:  # ValueError: names not in UTF-8
        raise InputError(
            f"{source} is not a readable Parquet file ({_one_line(error)}); write it again."
        ) from None
    return names, _arrow_rows(table)


def _arrow_rows(table: pa.Table) -> Lines:
    try:
        return list(enumerate(table.to_pylist(), start=1))
    except (ValueError, OverflowError):  # one bad value refuses its own row only
        return [(n + 1, _arrow_row(table.slice(n, 1))) for n in range(table.num_rows)]


def _arrow_row(table: pa.Table) -> Cells | RowError:
    try:
        cells: Cells = table.to_pylist()[0]
    except UnicodeDecodeError:
        return RowError("not valid UTF-8")
    except (ValueError, OverflowError) as error:
        return RowError(f"not readable: {_one_line(error)}")
    return cells


def _from_hub(source: str, name: str, split: str, columns: Columns) -> _Content:
    try:
        # Imported here: it is slow, and files need none of it.
        import datasets

        dataset = datasets.load_dataset(name, split=split)
        found = tuple(dataset.column_names)
        rows = dataset.select_columns([one for one in found if one in columns.known]).to_list()
    except Exception as error:  # whatever the library or the network raises, the id is unusable
        raise InputError(
            f"There is no file {source}, and the split {split} of the hub dataset {name} "
            f"cannot be loaded ({_one_line(error)}); give {_WANTED}."
        ) from None
    canonical = json.dumps(rows, sort_keys=True, separators=(",", ":"), default=str)
    return _Content(found, list(enumerate(rows, 1)), hashlib.sha256(canonical.encode()).hexdigest())


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
