"""One pair of answers to one prompt that shows at its clearest what an audit claims.

Chosen by rule, so that nobody picks it: of one answer of each policy to one prompt, both short
enough to be read, the pair with the largest difference of recovered reward. Where nothing is paid
for, of summed log-ratio.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from explain.payments import Pricing
from explain.shading import COLUMNS, Colour, scale_nats
from explain.tokens import Answer, answer
from explain.why import why
from explain.words import readable_prompt
from irl.data import Prompt, stored_prompt
from irl.errors import RunError

READABLE_TOKENS: Final = range(5, 41)
RESPONSE_COLUMNS: Final = (
    *("response_id", "prompt_id", "prompt", "response", "source", "n_tokens"),
    *("log_ratio_nats", "reward_nats"),
)

Row = dict[str, Any]


@dataclass(frozen=True)
class Exhibit:
    """An answer of each policy to one prompt."""

    prompt: str
    "as people write it down; untrusted"
    aligned: Answer
    reference: Answer
    by_reward: bool
    "chosen by the recovered reward; else by the summed log-ratio"
    scales: dict[Colour, float]
    "where full colour stands, nats"
    why: str
    "one answer beats the other, in a sentence; untrusted"


def read_exhibit(run: Path) -> Exhibit | None:
    """The exhibit of a run folder; None if no prompt was answered by both policies.

    Raises:
        RunError: a table is missing, damaged or lacks a column.
    """
    try:
        responses = pq.read_table(run / "responses.parquet", columns=list(RESPONSE_COLUMNS))
        tokens = pq.read_table(run / "tokens.parquet")
        return exhibit(responses, tokens, Pricing.of(run))
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise RunError(f"The tables of {run} cannot be read ({error}).") from error


def read_texts(run: Path, response_ids: Sequence[str]) -> dict[str, str]:
    """Answers of a run folder by their ids; untrusted. Empty where the run has not kept them."""
    try:
        table = pq.read_table(run / "responses.parquet", columns=["response_id", "response"])
    except (OSError, KeyError, ValueError, pa.ArrowException):
        return {}
    wanted = set(response_ids)
    pairs = zip(table["response_id"].to_pylist(), table["response"].to_pylist(), strict=True)
    return {name: text for name, text in pairs if name in wanted}


def exhibit(
    responses: pa.Table, tokens: pa.Table, pricing: Pricing | None = None
) -> Exhibit | None:
    """The exhibit of the two tables that every run writes.

    Args:
        responses: responses.parquet.
        tokens: tokens.parquet.
        pricing: what the run pays for what; None takes it from the tokens.
    """
    paid = dict(
        zip(
            tokens["response_id"].to_pylist(),
            [any(row or ()) for row in tokens["paid_for_nats"].to_pylist()],
            strict=True,
        )
    )
    rows = responses.select(list(RESPONSE_COLUMNS)).to_pylist()
    chosen = choose(rows, paid)
    if chosen is None:
        return None
    aligned, reference, by_reward = chosen
    numbers = {name: at for at, name in enumerate(tokens["response_id"].to_pylist())}
    ours, theirs = (
        answer(row, tokens.slice(numbers[row["response_id"]], 1).to_pylist()[0])
        for row in (aligned, reference)
    )
    paid_each = (pricing or Pricing())(_asked(aligned), (ours, theirs))
    return Exhibit(
        prompt=readable_prompt(aligned["prompt"]),
        aligned=ours,
        reference=theirs,
        by_reward=by_reward,
        why=why(paid_each, ("aligned", "reference")),
        scales={colour: scale_nats(tokens, colour) for colour in COLUMNS},
    )


def _asked(row: Row) -> Prompt:
    """The prompt; as it stands where it is neither the text of that name nor a stored chat."""
    try:
        return stored_prompt(row["prompt"], row["prompt_id"])
    except ValueError:
        return str(row["prompt"])


def choose(rows: list[Row], paid: dict[str, bool]) -> tuple[Row, Row, bool] | None:
    """An aligned row, a reference row, and whether the reward chose them.

    Args:
        rows: of responses.parquet, with at least RESPONSE_COLUMNS.
        paid: by response_id, whether any token of it is paid for or charged for.
    """
    readable = [row for row in rows if row["n_tokens"] in READABLE_TOKENS]
    for some in (readable, rows):
        pairs = list(_pairs(some))
        paying = [
            pair
            for pair in pairs
            if all(row["reward_nats"] is not None for row in pair)
            and any(paid[row["response_id"]] for row in pair)
        ]
        if paying:
            return *_widest(paying, "reward_nats"), True
        if pairs:
            return *_widest(pairs, "log_ratio_nats"), False
    return None


def _pairs(rows: list[Row]) -> Iterator[tuple[Row, Row]]:
    """Every aligned answer with every reference answer to the same prompt."""
    theirs: dict[str, list[Row]] = {}
    for row in rows:
        if row["source"] == "reference":
            theirs.setdefault(row["prompt_id"], []).append(row)
    for row in rows:
        if row["source"] == "aligned":
            yield from ((row, other) for other in theirs.get(row["prompt_id"], ()))


def _widest(pairs: list[tuple[Row, Row]], figure: str) -> tuple[Row, Row]:
    """The pair with the largest difference; of equals, the first."""
    return max(pairs, key=lambda pair: pair[0][figure] - pair[1][figure])
