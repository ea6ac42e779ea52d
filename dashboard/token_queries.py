"""Where else a token is said in a run, as SQL over Parquet: how often, at what nats, and around it.

Only responses that hold the token are taken apart, so a rare one costs little.
"""

from pathlib import Path
from typing import Final

import pyarrow as pa

from dashboard.queries import ask

AROUND: Final = 8
"Tokens on either side that are shown"
_SAID: Final = (
    "WITH holding AS (SELECT * FROM read_parquet($file) WHERE list_contains(tokens, $token)), "
    "each AS (SELECT response_id, unnest(tokens) AS token, unnest(log_ratio_nats) AS gained, "
    "unnest(paid_for_nats) AS paid, unnest(range(len(tokens))) AS place FROM holding), "
    "said AS (SELECT * FROM each JOIN (SELECT response_id, prompt_id, source "
    "FROM read_parquet($responses)) USING (response_id) WHERE token = $token) "
)


def sums(tokens: Path, responses: Path, token: str) -> pa.Table:
    """Occurrences of a token by policy and prompt, and their nats added up.

    Args:
        tokens: the table of tokens.
        responses: the table of responses.
        token: as the model wrote it.

    Returns:
        Columns source, prompt_id, n, gained, paid (None where nothing was recovered).

    Raises:
        RunError: a table cannot be read.
    """
    asked = _SAID + (
        "SELECT source, prompt_id, count(*) AS n, sum(gained::DOUBLE) AS gained, "
        "sum(paid::DOUBLE) AS paid FROM said GROUP BY source, prompt_id ORDER BY source, prompt_id"
    )
    return ask(asked, tokens, responses=responses, token=token)


def extremes(tokens: Path, responses: Path, token: str, most: int) -> pa.Table:
    """Where a token gained most and least: highest first.

    Args:
        tokens: the table of tokens.
        responses: the table of responses.
        token: as the model wrote it.
        most: occurrences at either end.

    Returns:
        Columns response_id, place (from 0), source, gained, paid, around.

    Raises:
        RunError: a table cannot be read.
    """
    asked = _SAID + (
        "SELECT response_id, place, source, gained, paid, array_to_string(list_slice(tokens, "
        f"greatest(place + 1 - {AROUND}, 1), place + 1 + {AROUND}), '') AS around "
        "FROM said JOIN holding USING (response_id) "
        "WINDOW up AS (ORDER BY gained, response_id, place), "
        "down AS (ORDER BY gained DESC, response_id, place) "
        "QUALIFY row_number() OVER up <= $most OR row_number() OVER down <= $most "
        "ORDER BY gained DESC, response_id, place"
    )
    return ask(asked, tokens, responses=responses, token=token, most=most)
