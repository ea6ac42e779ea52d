"""Where else a token is said, against a plain reading of the same rows."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dashboard import token_queries
from dashboard.said import EXTREMES, said
from irl.errors import RunError

N = 60
PIECES = (" you", " fool", "'; DROP TABLE", ".")


@pytest.fixture
def run(root: Path) -> Path:
    """Responses of both policies, of up to nine tokens."""
    draw = np.random.default_rng(0)
    rows = [[str(piece) for piece in draw.choice(PIECES, draw.integers(1, 9))] for _ in range(N)]
    gained = [[float(nats) for nats in np.round(draw.normal(0, 1, len(row)), 2)] for row in rows]
    folder = root / "run"
    folder.mkdir()
    ids = [f"r{at}" for at in range(N)]
    nats = pa.list_(pa.float32())
    paid = [None if at == 3 else [0.5] * len(row) for at, row in enumerate(rows)]
    table = {
        "response_id": ids,
        "tokens": rows,
        "log_ratio_nats": pa.array(gained, nats),
        "paid_for_nats": pa.array(paid, nats),
    }
    pq.write_table(pa.table(table), folder / "tokens.parquet")
    sources = ["aligned" if at % 2 else "reference" for at in range(N)]
    about = {"response_id": ids, "prompt_id": [f"p{at // 4}" for at in range(N)], "source": sources}
    pq.write_table(pa.table(about), folder / "responses.parquet")
    return folder


def occurrences(run: Path, token: str) -> list[tuple[float, str, int, str]]:
    """Value gained, response, position and source of each."""
    tokens = pq.read_table(run / "tokens.parquet").to_pylist()
    sources = pq.read_table(run / "responses.parquet")["source"].to_pylist()
    return [
        (nats, row["response_id"], at, source)
        for row, source in zip(tokens, sources, strict=True)
        for at, (piece, nats) in enumerate(zip(row["tokens"], row["log_ratio_nats"], strict=True))
        if piece == token
    ]


@pytest.mark.parametrize("token", PIECES)
def test_counts_and_means_are_those_of_every_occurrence(run: Path, token: str):
    for one in said(run, token).by:
        here = [nats for nats, _, _, source in occurrences(run, token) if source == one.source]
        assert one.times == len(here)
        assert one.gained is not None
        assert one.gained.value == pytest.approx(np.mean(here))
        assert one.gained.low <= one.gained.value <= one.gained.high


def test_what_was_paid_is_told_where_it_was_measured_everywhere(run: Path):
    paid = {one.source: one.paid for one in said(run, " fool").by}
    assert paid["reference"] is not None
    assert paid["reference"].value == pytest.approx(0.5)
    unmeasured = pq.read_table(run / "tokens.parquet")["tokens"][3].as_py()
    assert (paid["aligned"] is None) == (" fool" in unmeasured)


def test_extremes_are_the_highest_and_lowest_in_their_place(run: Path):
    found = said(run, " fool").extremes.to_pylist()
    every = sorted(occurrences(run, " fool"), reverse=True)
    nats = [one["gained"] for one in found]
    assert nats == [one[0] for one in every[:EXTREMES] + every[-EXTREMES:]]
    rows = {
        r["response_id"]: r["tokens"] for r in pq.read_table(run / "tokens.parquet").to_pylist()
    }
    for one in found:
        assert rows[one["response_id"]][one["place"]] == " fool"
        assert one["around"] == "".join(rows[one["response_id"]])  # short enough to be whole


def test_only_some_tokens_around_it_are_shown(tmp_path: Path):
    row = [f"<{at}>" for at in range(40)]
    nats = pa.array([[0.0] * 40], pa.list_(pa.float32()))
    tokens = {"response_id": ["r"], "tokens": [row], "log_ratio_nats": nats, "paid_for_nats": nats}
    pq.write_table(pa.table(tokens), tmp_path / "tokens.parquet")
    about = {"response_id": ["r"], "prompt_id": ["p"], "source": ["aligned"]}
    pq.write_table(pa.table(about), tmp_path / "responses.parquet")
    files = tmp_path / "tokens.parquet", tmp_path / "responses.parquet"
    k = token_queries.AROUND
    for at in (0, 20, 39):
        (one,) = token_queries.extremes(*files, f"<{at}>", 2).to_pylist()
        assert one["around"] == "".join(row[max(at - k, 0) : at + k + 1])


def test_a_token_that_is_not_said_and_a_table_that_is_not_there(run: Path):
    assert said(run, "no such").by == []
    (run / "tokens.parquet").unlink()
    with pytest.raises(RunError, match=r"has no tokens\.parquet"):
        said(run, " fool")
