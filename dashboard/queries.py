"""Every question to a run's tables, as SQL over Parquet: read-only, parameterised, paged.

DuckDB reads the columns and row groups that a question needs, so that a run of a million answers
costs about what one of a thousand does. Names of columns come from this file alone; whatever comes
from outside is a parameter. Paths are escaped, as DuckDB would read a `*` or `[` as a pattern.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from irl.errors import RunError

SETTINGS: Final[dict[str, Any]] = {
    "memory_limit": "512MB",
    "threads": 2,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
QUANTILES: Final = 200
_PATTERN: Final = "*?["


@dataclass(frozen=True)
class Histogram:
    """Counts of each policy's responses in bins of equal width."""

    edges: list[float]
    "one more than there are bins"
    counts: dict[str, list[int]]
    "by source"


@dataclass(frozen=True)
class Quantiles:
    """Values that a share of a policy's responses does not exceed."""

    shares: list[float]
    values: dict[str, list[float]]
    "by source"


def columns(file: Path) -> list[str]:
    """The names of a table's columns.

    Raises:
        RunError: it cannot be read.
    """
    try:
        return list(pq.read_schema(file).names)
    except (OSError, pa.ArrowException) as error:
        raise RunError(f"{file.name} cannot be read ({error}).") from None


@dataclass(frozen=True)
class Wanted:
    """Which responses."""

    source: str | None = None
    "whose; all if None"
    find: str | None = None
    "text that stands in the prompt or in the response, in whatever case"
    ids: tuple[str, ...] | None = None
    "one of these; any if None"


def count(file: Path, wanted: Wanted) -> int:
    """How many responses there are.

    Raises:
        RunError: the table cannot be read.
    """
    asked = f"SELECT count(*) AS n FROM read_parquet($file) WHERE {_WANTED}"
    return int(ask(asked, file, **_asked(wanted))["n"][0].as_py())


def page(
    file: Path,
    names: Sequence[str],
    wanted: Wanted,
    order: tuple[str, str] | None,
    place: tuple[int, int],
) -> pa.Table:
    """Some of the rows, in an order over all of them; ties and None keep the order written.

    Args:
        file: the table.
        names: of columns; this program's own.
        wanted: which of them.
        order: a column or a formula, this program's own, and ascending or descending; missing
            values come last. `centred_nats` is the log-ratio less its mean within the prompt.
        place: how many rows to pass over, and how many to take.

    Raises:
        RunError: the table cannot be read.
    """
    by = "" if order is None else f"{order[0]} {_DIRECTIONS[order[1]]} NULLS LAST, "
    asked = (
        f"SELECT {', '.join(names)} FROM ({_CENTRED if order and 'centred' in order[0] else _ROWS})"
        f" WHERE {_WANTED} ORDER BY {by}file_row_number LIMIT $many OFFSET $first"
    )
    first, many = place
    return ask(asked, file, **_asked(wanted), first=first, many=many)


def row(file: Path, response_id: str) -> dict[str, Any]:
    """The row of one response.

    Raises:
        RunError: there is none, or the table cannot be read.
    """
    asked = "SELECT * FROM read_parquet($file) WHERE response_id = $response_id LIMIT 1"
    found = ask(asked, file, response_id=response_id).to_pylist()
    if not found:
        raise RunError(f"{file.name} has no response of this id.")
    return dict(found[0])


def strongest_quantile(file: Path, column: str, share: float) -> float | None:
    """A quantile of the responses' strongest tokens; None where all are 0.

    Args:
        file: a table with lists of nats.
        column: of lists; this program's own.
        share: between 0 and 1.

    Raises:
        RunError: the table cannot be read.
    """
    asked = (
        "WITH strongest AS (SELECT list_max(list_transform("
        f"{column}, lambda nats: abs(nats))) AS most FROM read_parquet($file)) "
        "SELECT quantile_cont(most::DOUBLE, $share) AS found FROM strongest WHERE most > 0"
    )
    found = ask(asked, file, share=share)["found"][0].as_py()
    return None if found is None else float(found)


def histogram(file: Path, bins: int) -> Histogram:
    """Of the log-ratios of both policies' responses; empty where there are none.

    Raises:
        RunError: the table cannot be read.
    """
    asked = (
        "WITH given AS (SELECT source, log_ratio_nats AS nats FROM read_parquet($file) "
        "WHERE isfinite(log_ratio_nats) AND source IN ('aligned', 'reference')), "
        "ends AS (SELECT min(nats) AS low, greatest(max(nats) - min(nats), 1e-9) AS span "
        "FROM given) "
        "SELECT source, least(floor((nats - low) / span * $bins), $bins - 1)::INT AS bin, "
        "count(*) AS n, any_value(low) AS low, any_value(span) AS span "
        "FROM given, ends GROUP BY source, bin"
    )
    found = ask(asked, file, bins=bins).to_pylist()
    if not found:
        return Histogram([], {})
    low, span = found[0]["low"], found[0]["span"]
    counts = {name: [0] * bins for name in ("aligned", "reference")}
    for one in found:
        counts[one["source"]][one["bin"]] = one["n"]
    edges = [low + span * at / bins for at in range(bins + 1)]
    return Histogram(edges, {name: each for name, each in counts.items() if any(each)})


def quantiles(file: Path) -> Quantiles:
    """Of the log-ratios of both policies' responses.

    Raises:
        RunError: the table cannot be read.
    """
    shares = [at / QUANTILES for at in range(QUANTILES + 1)]
    asked = (
        "SELECT source, quantile_cont(log_ratio_nats, $shares) AS nats FROM read_parquet($file) "
        "WHERE isfinite(log_ratio_nats) AND source IN ('aligned', 'reference') "
        "GROUP BY source ORDER BY source"
    )
    found = ask(asked, file, shares=shares).to_pylist()
    return Quantiles(shares, {one["source"]: one["nats"] for one in found})


def prompts(file: Path, place: tuple[int, int]) -> pa.Table:
    """Prompts by how far the aligned policy's answers to them have moved, furthest first.

    Args:
        file: the table of responses.
        place: how many prompts to pass over, and how many to take.

    Raises:
        RunError: the table cannot be read.
    """
    asked = (
        "SELECT prompt_id, any_value(prompt) AS prompt, avg(log_ratio_nats) AS kl_nats, "
        "stddev_samp(log_ratio_nats) / sqrt(count(*)) AS error_nats, "
        "count(*) AS answers, avg(n_tokens) AS tokens, count(*) OVER () AS prompts "
        "FROM read_parquet($file) WHERE source = 'aligned' GROUP BY prompt_id "
        "ORDER BY kl_nats DESC, prompt_id LIMIT $many OFFSET $first"
    )
    first, many = place
    return ask(asked, file, first=first, many=many)


def moved_by_prompt(file: Path) -> pa.Table:
    """Log-ratios of the aligned policy's answers, added up prompt by prompt.

    Returns:
        Columns prompt_id, prompt, prompt_type (null where the run does not tell), nats, answers.

    Raises:
        RunError: the table cannot be read.
    """
    kind = "any_value(prompt_type)" if "prompt_type" in columns(file) else "NULL::VARCHAR"
    asked = (
        f"SELECT prompt_id, any_value(prompt) AS prompt, {kind} AS prompt_type, "
        "sum(log_ratio_nats) AS nats, count(*) AS answers FROM read_parquet($file) "
        "WHERE source = 'aligned' AND isfinite(log_ratio_nats) "
        "GROUP BY prompt_id ORDER BY prompt_id"
    )
    return ask(asked, file)


def some_prompts(file: Path, most: int) -> pa.Table:
    """Prompts that the aligned policy has answered, the same ones each time: by their hashes.

    Args:
        file: the table of responses.
        most: how many prompts.

    Returns:
        Columns prompt_id, prompt, kl_nats (mean log-ratio), answers, response_id (of one), prompts
        (how many there are).

    Raises:
        RunError: the table cannot be read.
    """
    asked = (
        "SELECT prompt_id, any_value(prompt) AS prompt, avg(log_ratio_nats) AS kl_nats, "
        "count(*) AS answers, min(response_id) AS response_id, count(*) OVER () AS prompts "
        "FROM read_parquet($file) WHERE source = 'aligned' AND isfinite(log_ratio_nats) "
        "GROUP BY prompt_id ORDER BY md5(prompt_id) LIMIT $most"
    )
    return ask(asked, file, most=most)


def answers(file: Path, names: Sequence[str], response_id: str, most: int) -> pa.Table:
    """All answers to the prompt of one response, highest log-ratio first.

    Args:
        file: the table of responses.
        names: of columns; this program's own.
        response_id: of one of them.
        most: answers of each policy.

    Raises:
        RunError: the table cannot be read.
    """
    asked = (
        f"SELECT {', '.join(names)} FROM read_parquet($file, file_row_number = true) "
        "WHERE prompt_id = (SELECT prompt_id FROM read_parquet($file) "
        "WHERE response_id = $response_id LIMIT 1) "
        "QUALIFY row_number() OVER (PARTITION BY source ORDER BY file_row_number) <= $most "
        "ORDER BY source, log_ratio_nats DESC NULLS LAST, file_row_number"
    )
    return ask(asked, file, response_id=response_id, most=most)


_ROWS: Final = "SELECT * FROM read_parquet($file, file_row_number = true)"
_CENTRED: Final = (
    "SELECT *, log_ratio_nats - avg(log_ratio_nats) OVER (PARTITION BY prompt_id) AS centred_nats "
    "FROM read_parquet($file, file_row_number = true)"
)
"Over all answers to a prompt, whichever of them are wanted"
_WANTED: Final = (
    "($source IS NULL OR source = $source) AND ($find IS NULL "
    "OR contains(lower(response), lower($find)) OR contains(lower(prompt), lower($find))) "
    "AND ($ids IS NULL OR list_contains($ids, response_id))"
)
_DIRECTIONS: Final = {"ascending": "ASC", "descending": "DESC"}


def _asked(wanted: Wanted) -> dict[str, object]:
    ids = None if wanted.ids is None else list(wanted.ids)
    return {"source": wanted.source, "find": wanted.find, "ids": ids}


def ask(asked: str, file: Path, **parameters: object) -> pa.Table:
    """The answer to a question about one table, which it calls $file; further ones are parameters.

    Raises:
        RunError: the table cannot be read.
    """
    given = {"file": file, **parameters}
    given = {name: _literal(v) if isinstance(v, Path) else v for name, v in given.items()}
    used = {name: value for name, value in given.items() if f"${name}" in asked}
    try:
        with duckdb.connect(config=SETTINGS) as connection:
            found: pa.Table = connection.sql(asked, params=used).to_arrow_table()
            return found
    except duckdb.Error as error:
        reason = str(error).splitlines()[0].removeprefix("Invalid Input Error: ")
        raise RunError(f"{file.name} cannot be read ({reason}).") from None


def _literal(file: Path) -> str:
    return "".join(f"[{sign}]" if sign in _PATTERN else sign for sign in str(file))
