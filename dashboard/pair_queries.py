"""Questions about pairs, one answer of each policy to the same prompt, as SQL over Parquet.

Which of them has the higher score? Constants of the prompt cancel in every pair.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa

from dashboard.queries import ask, columns

_HITS: Final = "sum(CASE WHEN margin > 0 THEN 1.0 WHEN margin = 0 THEN 0.5 ELSE 0.0 END)"


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
    return ask(asked, file, most=most)


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
    return ask(asked, file)


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
        f"{_HITS} AS hits, "
        "count(*) AS n FROM pairs GROUP BY ALL ORDER BY bin, prompt_id"
    )
    return ask(asked, file, edges=list(edges))


def right_by_prompt(file: Path, first: str, second: str) -> pa.Table:
    """How many pairs two scores rank right, prompt by prompt.

    Args:
        file: the table of responses.
        first: column of a score; this program's own.
        second: of another.

    Returns:
        Columns prompt_id, prompt, prompt_type (null where the run does not tell), and for each
        score, hits (ties one half) and n: hits_first, n_first, hits_second, n_second.

    Raises:
        RunError: the table cannot be read.
    """
    kind = "any_value(prompt_type)" if "prompt_type" in columns(file) else "NULL::VARCHAR"
    told = ", ".join(
        f"{name} AS (WITH pairs AS ({_pairs(column)}) SELECT prompt_id, {_HITS} AS hits, "
        "count(*) AS n FROM pairs GROUP BY prompt_id)"
        for name, column in (("first", first), ("second", second))
    )
    asked = (
        f"WITH {told}, asked AS (SELECT prompt_id, any_value(prompt) AS prompt, "
        f"{kind} AS prompt_type FROM read_parquet($file) GROUP BY prompt_id) "
        "SELECT prompt_id, prompt, prompt_type, coalesce(first.hits, 0) AS hits_first, "
        "coalesce(first.n, 0) AS n_first, coalesce(second.hits, 0) AS hits_second, "
        "coalesce(second.n, 0) AS n_second FROM asked LEFT JOIN first USING (prompt_id) "
        "LEFT JOIN second USING (prompt_id) ORDER BY prompt_id"
    )
    return ask(asked, file)


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
    return ask(asked, file, first=first, many=many)


def _pairs(column: str) -> str:
    return (
        "SELECT a.prompt_id, a.response_id AS ours, b.response_id AS theirs, "
        f"a.{column} - b.{column} AS margin, a.n_tokens - b.n_tokens AS longer "
        "FROM read_parquet($file) a JOIN read_parquet($file) b USING (prompt_id) "
        f"WHERE a.source = 'aligned' AND b.source = 'reference' "
        f"AND isfinite(a.{column}) AND isfinite(b.{column})"
    )
