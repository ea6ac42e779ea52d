"""Rows of a results table, and the making of one: where its audits lie and how they run."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.stats import t

from explain.jobs.audit import run_audit
from irl.config import AuditSettings
from irl.engine.shards import Progress
from irl.errors import InputError
from irl.records import AuditReport, Estimate, ResultRow


@dataclass(frozen=True)
class Making:
    """What the makers of rows are given beside their recipe."""

    folder: Path
    "of the table's runs; finished audits there are reused"
    text: Path | None
    "folder of text from outside the repository"
    progress: Progress
    say: Callable[[str], None]
    "for what is built on the way"

    def audit(self, name: str, /, **settings: Any) -> AuditReport:
        """Audit into a folder of that name, or read what was found there before."""
        resolved = AuditSettings.read(None, [], settings)
        return run_audit(resolved, self.folder / name, progress=self.progress).report

    def texts(self, name: str, source: str) -> list[str]:
        """The responses of one policy in a finished audit."""
        file = self.folder / name / "responses.parquet"
        rows = pq.read_table(file, columns=["response", "source"]).to_pylist()
        return [row["response"] for row in rows if row["source"] == source]


def built_pair(folder: str) -> Path:
    """The folder of a pair that a recipe names.

    Raises:
        InputError: nobody built it.
    """
    if not (Path(folder) / "aligned" / "config.json").is_file():
        name = Path(folder).name
        raise InputError(f"There is no pair in {folder}; `irl organisms build {name}` builds it.")
    return Path(folder)


def finished_run(run: Path, *tables: str) -> Path:
    """The folder of a finished audit that one of these tables makes.

    Raises:
        InputError: none of them has made it.
    """
    if not (run / "manifest.json").is_file():
        commands = " and ".join(f"`irl results {table}`" for table in tables)
        raise InputError(f"There is no finished audit {run}; {commands} draw the answers.")
    return run


def written(file: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """Rows as the lines of a file that jobs read."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


@dataclass(frozen=True)
class Measured:
    """What the rows of one audit share."""

    case: str
    seeds: list[int]

    def row(
        self,
        method: str,
        metric: str,
        unit: str,
        estimate: Estimate | None,
        reason: str = "not defined on these data",
    ) -> ResultRow:
        """One measurement; `reason` counts only where there is no estimate."""
        return ResultRow(
            case=self.case,
            method=method,
            metric=metric,
            unit=unit,
            seeds=self.seeds,
            estimate=estimate,
            reason=None if estimate else reason,
        )


def counted(n: float | int, of: int) -> Estimate:
    """A plain count or number; nothing about it is estimated."""
    return Estimate(value=n, low=n, high=n, n=of)


def mean_of_seeds(values: Sequence[float] | NDArray[np.float64]) -> Estimate:
    """The mean over seeds or draws with its interval by Student's t."""
    mean, n = float(np.mean(values)), len(values)
    half = float(t.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n)) if n > 1 else 0.0
    return Estimate(value=mean, low=mean - half, high=mean + half, n=n)


def mean_within(
    values: Sequence[float] | NDArray[np.float64], lowest: float, highest: float
) -> Estimate:
    """The same of something that has bounds, where its interval ends."""
    mean = mean_of_seeds(values)
    return mean.model_copy(update={"low": max(mean.low, lowest), "high": min(mean.high, highest)})


def mean_share(values: Sequence[float] | NDArray[np.float64]) -> Estimate:
    """The same of a share."""
    return mean_within(values, 0.0, 1.0)
