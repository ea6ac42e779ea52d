"""`python -m tests.benchmarks.dashboard [--write]`: are large runs looked at as fast as small ones?

Makes a run of 200,000 responses with 100 tokens each, and draws every page of the dashboard in one
process, as its server would: once cold, then five times. What is measured is the script behind a
page, not the browser. Memory is the peak of the process.
"""

import argparse
import resource
import shutil
import statistics
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path
from typing import get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import streamlit as st

from dashboard import loading
from irl.jobs.trust_table import TRIAGE
from irl.records import Estimate, ResultRow, TrustReport
from irl.records.trust import Category
from irl.runs import open_run
from tests.benchmarks.tables import write_table
from tests.dashboard.recovered import contraction, report, truth, write_recovery
from tests.dashboard.samples import audit_report, write_course
from tests.dashboard.shown import view
from tests.explain.parts import trust

RESPONSES, TOKENS, EACH = 200_000, 100, 8
REPEATS = 5
CHUNK = 5_000
"Responses of one row group, as a job writes them"
VOCABULARY = [f"word{at}" for at in range(4000)]
INTERVALS = (
    f"Values are medians of {REPEATS} draws of the page after a first one; the interval is from",
    "the least to the greatest; n counts draws.",
)


def make_run(root: Path, name: str, n: int) -> None:
    """An audit whose tables hold n responses."""
    run = open_run("audit", {"aligned": "a", "reference": "r", "n": n}, {}, root / name)
    known = {"truth": truth(), "contraction": contraction()}
    run.write_text("report.json", audit_report(name).model_copy(update=known).to_json())
    rng = np.random.default_rng(0)
    writers: dict[str, pq.ParquetWriter] = {}
    for first in range(0, n, CHUNK):
        for file, table in _chunk(rng, first, min(CHUNK, n - first)).items():
            if file not in writers:
                writers[file] = pq.ParquetWriter(run.path / file, table.schema, compression="zstd")
            writers[file].write_table(table)
    for writer in writers.values():
        writer.close()
    run.finish({})


def make_triage(root: Path, name: str, n: int) -> None:
    """An `irl trust` that sorted n responses."""
    run = open_run("trust", {"reward": "e", "policy": "p", "n": n}, {}, root / name)
    run.write_text("trust.json", TrustReport.model_validate(trust("t")).to_json())
    rng = np.random.default_rng(1)
    texts = [" ".join(rng.choice(VOCABULARY, 40)) for _ in range(500)]
    kinds = list(get_args(Category))
    columns: dict[str, object] = {
        "response_id": [f"{at:08d}-0" for at in range(n)],
        "prompt": [texts[at % 500] for at in range(n)],
        "response": [texts[(7 * at) % 500] for at in range(n)],
        "category": [kinds[at] for at in rng.integers(len(kinds), size=n)],
        **{name: rng.random(n) for name in ("distance", "margin", "probability")},
        "neighbour_texts": [texts[:3]] * n,
        "neighbour_distances": [[0.1, 0.2, 0.3]] * n,
        "neighbour_wrong": [[0.0, 1.0, 0.5]] * n,
    }
    full = {field.name: columns.get(field.name, pa.nulls(n, field.type)) for field in TRIAGE}
    run.write_table("triage.parquet", pa.table(full, schema=TRIAGE))
    run.finish({})


def _chunk(rng: np.random.Generator, first: int, n: int) -> dict[str, pa.Table]:
    numbers = np.arange(first, first + n)
    names = [f"{at // EACH:08d}-a{at % EACH}" for at in numbers]
    words = rng.integers(0, len(VOCABULARY), (n, TOKENS))
    said = [[VOCABULARY[at] for at in row] for row in words]
    nats = {name: rng.normal(0.0, 0.3, (n, TOKENS)).astype(np.float32) for name in ("a", "p")}
    ratio = nats["a"].sum(1, dtype=np.float64)
    texts = [" ".join(row) for row in said]
    responses = {
        "response_id": names,
        "prompt_id": [name.partition("-")[0] for name in names],
        "prompt": [f"What about number {at // EACH}?" for at in numbers],
        "response": texts,
        "source": ["aligned" if at % 2 else "reference" for at in numbers],
        "n_tokens": pa.array([TOKENS] * n, pa.int32()),
        "aligned_nats": ratio - 200.0,
        "reference_nats": np.full(n, -200.0),
        "log_ratio_nats": ratio,
        "reward_nats": ratio / 2,
        "reward_low_nats": ratio / 2 - 1,
        "reward_high_nats": ratio / 2 + 1,
        "fold": pa.array(numbers % 5, pa.int32()),
        "prompt_type": [f"type {at // EACH % 4}" for at in numbers],
        "true_nats": np.round(ratio + rng.normal(0.0, 1.0, n)),
    }
    lists = {
        "aligned_nats": nats["a"] - 2.0,
        "reference_nats": np.full((n, TOKENS), -2.0, np.float32),
        "log_ratio_nats": nats["a"],
        "paid_for_nats": nats["p"],
    }
    tokens = {
        "response_id": names,
        "token_ids": _lists(words.astype(np.int32)),
        "tokens": pa.array(said, pa.list_(pa.string())),
        **{name: _lists(values) for name, values in lists.items()},
    }
    return {"responses.parquet": pa.table(responses), "tokens.parquet": pa.table(tokens)}


def _lists(values: np.ndarray) -> pa.Array:
    offsets = pa.array(np.arange(len(values) + 1) * values.shape[1], pa.int32())
    return pa.ListArray.from_arrays(offsets, pa.array(values.reshape(-1)))


RUNS = "runs"
"Its view is told how a run is opened"
PAGES: dict[str, tuple[str, dict[str, str]]] = {
    "Runs": (RUNS, {}),
    "Audit": ("run", {"run": "large"}),
    "Attributions": ("attributions", {"run": "large", "response": "00012345-a1"}),
    "Attributions, a token": (
        "attributions",
        {"run": "large", "response": "00012345-a1", "token": "3", "by": "word"},
    ),
    "Attributions, apart": (
        "attributions",
        {"run": "large", "order": "log-ratio and reward apart, most first"},
    ),
    "Attributions, prices": ("attributions", {"run": "large", "part": "terms and aspects"}),
    "Attributions, a search": ("attributions", {"run": "large", "find": "word7 word"}),
    "Reward accuracy": ("accuracy", {"run": "large"}),
    "Policy drift": ("drift", {"run": "large"}),
    "Ensembles and RLHF": ("training", {"run": "course"}),
    "Trust": ("trust", {"run": "trust", "response": "00012345-0"}),
    "Compare": ("compare", {"run": "large", "with": "other"}),
    "Workbench": ("workbench", {"run": "large"}),
    "Export": ("export", {"run": "large"}),
}


def draw(page: str, query: dict[str, str]) -> float:
    """Seconds of one draw, in a session of its own."""
    app = view(page, "lambda _: None" if page == RUNS else "")
    for name, value in query.items():
        app.query_params[name] = value
    start = time.perf_counter()
    app.run()
    seconds = time.perf_counter() - start
    assert not app.exception, app.exception
    return seconds


def measure(root: Path) -> list[ResultRow]:
    """Draw every page."""
    loading.roots = lambda: (root,)  # type: ignore[assignment]
    st.cache_data.clear()
    rows: list[ResultRow] = []

    def tell(case: str, metric: str, unit: str, estimate: Estimate) -> None:
        row = ResultRow(
            **{"case": case, "method": "server", "metric": metric, "unit": unit, "seeds": []},
            **{"estimate": estimate, "reason": None},
        )
        rows.append(row)
        sys.stdout.write(f"{case:24s} {metric:28s} {estimate.value:8.3f} {unit}\n")

    for case, (page, query) in PAGES.items():
        cold = draw(page, query)
        warm = [draw(page, query) for _ in range(REPEATS)]
        tell(case, "first draw", "seconds", Estimate(value=cold, low=cold, high=cold, n=1))
        middle = statistics.median(warm)
        told = Estimate(value=middle, low=min(warm), high=max(warm), n=REPEATS)
        tell(case, "draw", "seconds", told)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    tell(
        "all pages",
        "peak memory of the process",
        "MiB",
        Estimate(value=peak, low=peak, high=peak, n=1),
    )
    return rows


def main() -> None:
    """Make the runs in a process of its own, then draw the pages in this one."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--write", action="store_true", help="write the table under docs/results")
    given = asked.parse_args()
    root = Path(tempfile.mkdtemp(prefix="dashboard-"))
    try:
        maker = get_context("spawn").Process(target=_make_all, args=(root,))
        maker.start()
        maker.join()
        assert maker.exitcode == 0
        rows = measure(root)
    finally:
        shutil.rmtree(root)
    if given.write:
        write_table("dashboard", rows, INTERVALS)


def _make_all(root: Path) -> None:
    make_run(root, "large", RESPONSES)
    make_run(root, "other", 100)
    make_triage(root, "trust", RESPONSES)
    write_course(root, "course")
    for method in ("log-ratio", "bradley-terry", "max-margin"):
        write_recovery(root, method, report(method))


if __name__ == "__main__":
    main()
