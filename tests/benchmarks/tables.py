"""A benchmark's table under docs/results, as JSON and beside it to be read."""

import os
import platform
from collections.abc import Sequence
from pathlib import Path

from explain.results_page import render_table
from irl.records import ResultRow, ResultTable
from irl.runs import now, versions

RESULTS = Path("docs/results")


def write_table(name: str, rows: Sequence[ResultRow], intervals: Sequence[str]) -> None:
    """Write it; the command is that of the benchmark of this name.

    Args:
        name: of the table, and of its module here.
        rows: what was measured.
        intervals: what intervals are, line by line.
    """
    processor = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end"
    table = ResultTable(
        name=name,
        command=f"python -m tests.benchmarks.{name} --write",
        created=now(),
        machine=f"{platform.machine()}, {platform.system()}, {processor}",
        versions=versions(),
        rows=list(rows),
    )
    file = RESULTS / f"{name}.json"
    file.write_text(table.to_json(), encoding="utf-8")
    file.with_suffix(".md").write_text(render_table(table, intervals), encoding="utf-8")
