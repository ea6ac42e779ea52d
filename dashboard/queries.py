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


def count(file: Path, wanted: Wanted) -> int:
    """How many responses there are.

    Raises:
        RunError: the table cannot be read.
    """
    asked = f"SELECT count(*) AS n FROM read_parquet($file) WHERE {_WANTED}"
    return int(_ask(asked, file, **vars(wanted))["n"][0].as_py())


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
            values come last.
        place: how many rows to pass over, and how many to take.

    Raises:
        RunError: the table cannot be read.
    """
    by = "" if order is None else f"{order[0]} {_DIRECTIONS[order[1]]} NULLS LAST, "
    asked = (
        f"SELECT {', '.join(names)} FROM read_parquet($file, file_row_number = true) "
        f"WHERE {_WANTED} "
        f"ORDER BY {by}file_row_number LIMIT $many OFFSET $first"
    )
    first, many = place
    return _ask(asked, file, **vars(wanted), first=first, many=many)


def row(file: Path, response_id: str) -> dict[str, Any]:
    """The row of one response.

    Raises:
        RunError: there is none, or the table cannot be read.
    """
    asked = "SELECT * FROM read_parquet($file) WHERE response_id = $response_id LIMIT 1"
    found = _ask(asked, file, response_id=response_id).to_pylist()
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
    found = _ask(asked, file, share=share)["found"][0].as_py()
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
    found = _ask(asked, file, bins=bins).to_pylist()
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
    found = _ask(asked, file, shares=shares).to_pylist()
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
        "count(*) AS answers, avg(n_tokens) AS tokens, count(*) OVER () AS prompts "
        "FROM read_parquet($file) WHERE source = 'aligned' GROUP BY prompt_id "
        "ORDER BY kl_nats DESC, prompt_id LIMIT $many OFFSET $first"
    )
    first, many = place
    return _ask(asked, file, first=first, many=many)


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
    return _ask(asked, file, response_id=response_id, most=most)


def roc(file: Path, column: str, most: int) -> pa.Table:
    """Shares of both policies' answers from each score on, highest first: tpr over fpr.

    Scores are centred within prompts, whose constants mean nothing; equal ones come together.

    Args:
        file: the table of responses.
        column: of scores; this program's own.
        most: about how many points.

    Raises:
        RunError: the table cannot be read.
    """
    asked = (
        f"WITH centred AS (SELECT source, round({column} - avg({column}) OVER "
        "(PARTITION BY prompt_id), 9) AS score FROM read_parquet($file) "
        f"WHERE source IN ('aligned', 'reference') AND isfinite({column})), "
        "counted AS (SELECT score, count(*) FILTER (source = 'aligned') AS ours, "
        "count(*) FILTER (source = 'reference') AS theirs FROM centred GROUP BY score), "
        "added AS (SELECT sum(ours) OVER above / sum(ours) OVER () AS tpr, "
        "sum(theirs) OVER above / sum(theirs) OVER () AS fpr, row_number() OVER above AS rank, "
        "count(*) OVER () AS n FROM counted WINDOW above AS (ORDER BY score DESC)) "
        "SELECT tpr, fpr FROM added WHERE rank % greatest(n // $most, 1) = 0 OR rank = n "
        "ORDER BY rank"
    )
    return _ask(asked, file, most=most)


def reliability(file: Path, column: str) -> pa.Table:
    """Pairs of one answer of each policy, by the odds that a score gives its side.

    Args:
        file: the table of responses.
        column: of scores in nats; this program's own.

    Returns:
        Columns probability (mean of the bin), share_right (ties one half), n.

    Raises:
        RunError: the table cannot be read.
    """
    asked = (
        f"WITH pairs AS ({_pairs(column)}), told AS (SELECT 1 / (1 + exp(-abs(margin))) AS p, "
        "CASE WHEN margin > 0 THEN 1.0 WHEN margin = 0 THEN 0.5 ELSE 0.0 END AS hit FROM pairs) "
        "SELECT avg(p) AS probability, avg(hit) AS share_right, count(*) AS n FROM told "
        "GROUP BY least(floor((p - 0.5) * 20), 9) ORDER BY probability"
    )
    return _ask(asked, file)


def right_by_length(file: Path, column: str, edges: Sequence[int]) -> pa.Table:
    """How many pairs a score ranks right, by prompt and by how much longer the aligned answer is.

    Args:
        file: the table of responses.
        column: of scores; this program's own.
        edges: of bins of the difference in tokens, rising.

    Returns:
        Columns prompt_id, bin (0 below the first edge), hits (ties one half), n.

    Raises:
        RunError: the table cannot be read.
    """
    asked = (
        f"WITH pairs AS ({_pairs(column)}) SELECT prompt_id, "
        "len(list_filter($edges, lambda edge: longer >= edge)) AS bin, "
        "sum(CASE WHEN margin > 0 THEN 1.0 WHEN margin = 0 THEN 0.5 ELSE 0.0 END) AS hits, "
        "count(*) AS n FROM pairs GROUP BY ALL ORDER BY bin, prompt_id"
    )
    return _ask(asked, file, edges=list(edges))


def wrong_pairs(file: Path, column: str, place: tuple[int, int]) -> pa.Table:
    """Pairs in which the reference's answer has the higher score, the worst first.

    Args:
        file: the table of responses.
        column: of scores; this program's own.
        place: how many pairs to pass over, and how many to take.

    Raises:
        RunError: the table cannot be read.
    """
    asked = (
        f"WITH pairs AS ({_pairs(column)}), worst AS (SELECT ours, theirs, margin, "
        "count(*) OVER () AS pairs FROM pairs WHERE margin < 0 "
        "ORDER BY margin, ours, theirs LIMIT $many OFFSET $first) "
        "SELECT margin, a.response_id, a.prompt, a.response AS aligned, b.response AS reference, "
        "pairs FROM worst JOIN read_parquet($file) a ON a.response_id = ours "
        "JOIN read_parquet($file) b ON b.response_id = theirs ORDER BY margin, ours, theirs"
    )
    first, many = place
    return _ask(asked, file, first=first, many=many)


def _pairs(column: str) -> str:
    return (
        "SELECT a.prompt_id, a.response_id AS ours, b.response_id AS theirs, "
        f"a.{column} - b.{column} AS margin, a.n_tokens - b.n_tokens AS longer "
        "FROM read_parquet($file) a JOIN read_parquet($file) b USING (prompt_id) "
        f"WHERE a.source = 'aligned' AND b.source = 'reference' "
        f"AND isfinite(a.{column}) AND isfinite(b.{column})"
    )


_WANTED: Final = (
    "($source IS NULL OR source = $source) AND ($find IS NULL "
    "OR contains(lower(response), lower($find)) OR contains(lower(prompt), lower($find)))"
)
_DIRECTIONS: Final = {"ascending": "ASC", "descending": "DESC"}


def _ask(asked: str, file: Path, **parameters: object) -> pa.Table:
    given = {"file": _literal(file)} | parameters
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
