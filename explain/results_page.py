"""A results table as Markdown, for reading beside its JSON."""

from collections.abc import Sequence
from typing import Final

from irl.records import ResultRow, ResultTable

INTERVALS: Final = (
    "Intervals are 95 %, by cluster bootstrap, n counts clusters; those of counted shares",
    "(found, precision, decoys) are exact binomial ones, n counts the cases. Without interval",
    "(-): plain counts and numbers, where nothing is estimated, and what no resample changes.",
)
_SMALL = 5e-4


def render_table(table: ResultTable, intervals: Sequence[str] = INTERVALS) -> str:
    """The table with its command and versions, and what its intervals are."""
    versions = ", ".join(f"{name} {version}" for name, version in table.versions.items())
    lines = [
        f"# {table.name}",
        "",
        f"Made by `{table.command}` on {table.created[:10]} ({table.machine}; {versions}).",
        *intervals,
        "",
        "| case | method | metric | seed | value | interval | n |",
        "|---|---|---|---|---|---|---|",
        *map(_line, table.rows),
    ]
    return "\n".join(lines) + "\n"


def _line(row: ResultRow) -> str:
    seeds = ", ".join(map(str, row.seeds)) or "-"
    head = f"| {row.case} | {row.method} | {row.metric} | {seeds} |"
    if row.estimate is None:
        return f"{head} - | {row.reason} | |"
    found = row.estimate
    value, low, high = map(_number, (found.value, found.low, found.high))
    interval = "-" if found.low == found.value == found.high else f"{low} to {high}"
    return f"{head} {value} | {interval} | {found.n} |"


def _number(value: float) -> str:
    """Three decimals; an error of 1e-15 is not 0.000."""
    return f"{value:.0e}" if 0 < abs(value) < _SMALL else f"{value:.3f}"
