"""Rows as CSV that a spreadsheet can open: no cell is taken for a formula.

A text that begins with =, +, - or @ would be one (OWASP, CSV injection), and terms and answers are
untrusted. Such a cell gets a leading apostrophe; Parquet and JSON keep the text as it is.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows with the columns of the first; None is an empty cell."""
    if not rows:
        return ""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = list(rows[0])
    writer.writerow([_cell(name) for name in names])
    writer.writerows([_cell(row.get(name)) for name in names] for row in rows)
    return text.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
