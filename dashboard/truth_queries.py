"""A score against the true reward of organisms' answers, as SQL over Parquet."""

from pathlib import Path

from dashboard.queries import ask, columns
from explain.recovery_figures import Cells


def truth_cells(file: Path, column: str, bins: int) -> Cells | None:
    """Answers in cells of true reward and score, each less its mean over the prompt.

    Args:
        file: the table of responses.
        column: of the score; this program's own.
        bins: along either axis.

    Returns:
        None where the run knows no true reward, or has no score.

    Raises:
        RunError: the table cannot be read.
    """
    if "true_nats" not in columns(file):
        return None
    asked = (
        "WITH told AS (SELECT true_nats - avg(true_nats) OVER prompts AS x, "
        f"{column} - avg({column}) OVER prompts AS y FROM read_parquet($file) "
        f"WHERE isfinite(true_nats) AND isfinite({column}) "
        "AND source IN ('aligned', 'reference') WINDOW prompts AS (PARTITION BY prompt_id)), "
        "ends AS (SELECT min(x) AS left_x, greatest(max(x) - min(x), 1e-9) AS wide, "
        "min(y) AS low_y, greatest(max(y) - min(y), 1e-9) AS high FROM told) "
        "SELECT least(floor((x - left_x) / wide * $bins), $bins - 1)::INT AS at_x, "
        "least(floor((y - low_y) / high * $bins), $bins - 1)::INT AS at_y, count(*) AS n, "
        "any_value(left_x) AS left_x, any_value(wide) AS wide, any_value(low_y) AS low_y, "
        "any_value(high) AS high FROM told, ends GROUP BY at_x, at_y"
    )
    found = ask(asked, file, bins=bins).to_pylist()
    if not found:
        return None
    counts = [[0] * bins for _ in range(bins)]
    for one in found:
        counts[one["at_y"]][one["at_x"]] = one["n"]
    ends = found[0]
    x, y = (
        [ends[start] + ends[span] * (at + 0.5) / bins for at in range(bins)]
        for start, span in (("left_x", "wide"), ("low_y", "high"))
    )
    return Cells(x, y, counts)
