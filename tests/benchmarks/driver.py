"""`python -m tests.benchmarks.driver [--write]`: what the driver of a cluster does for a shard.

The figures that `irl.engine.cluster_plan` and `cluster_sizes` take as given. The nats are drawn
from a gamma distribution, the ids evenly; no model is read.
"""

import argparse
import statistics
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from irl.engine.shards import Shards, run_parts
from irl.records import Estimate, ResultRow
from irl.tensors import TokenSequence
from tests.benchmarks.tables import write_table

REPEATS = 9
PROMPT_TOKENS, RESPONSE_TOKENS, VOCABULARY = 100, 200, 32_000
INTERVALS = (
    "Values are medians of 9 repeats; the interval is from the least to the greatest, which holds",
    "the median with 99.6 %, whatever its distribution; n counts repeats. Bytes are counted.",
)


def part_of(responses: int, generator: np.random.Generator) -> list[TokenSequence]:
    """Token ids of as many responses."""

    def ids(length: int) -> tuple[int, ...]:
        return tuple(generator.integers(0, VOCABULARY, length).tolist())

    return [TokenSequence(ids(PROMPT_TOKENS), ids(RESPONSE_TOKENS)) for _ in range(responses)]


def table_of(responses: int, generator: np.random.Generator) -> pa.Table:
    """Nats per token under two policies, as the engine returns them."""
    columns = {
        f"{side}_nats": [
            -generator.gamma(0.5, 2.0, RESPONSE_TOKENS).astype(np.float32) for _ in range(responses)
        ]
        for side in ("aligned", "reference")
    }
    return pa.table(columns, schema=pa.schema([(name, pa.list_(pa.float32())) for name in columns]))


def rows_of(responses: int) -> Iterator[ResultRow]:
    """Seconds and bytes of shards of one size."""
    generator = np.random.default_rng(0)
    part, table = part_of(responses, generator), table_of(responses, generator)
    case, values = f"{responses:,} responses", responses * RESPONSE_TOKENS * 2
    with tempfile.TemporaryDirectory() as folder:
        kept = [0]

        def keep() -> None:
            kept[0] += 1
            run_parts(Shards(Path(folder), f"s{kept[0]}"), [part], lambda *_: table)

        yield _row(case, "key, file and line of a shard", "seconds", _timed(keep))
        file = Shards(Path(folder), "s1").file(0)
        yield _row(case, "file, per value", "bytes", [file.stat().st_size / values])
        sums = {
            name: [float(np.sum(row, dtype=np.float64)) for row in table[name].to_numpy()]
            for name in table.column_names
        }
        run_parts(Shards(Path(folder), "sums"), [part], lambda *_: pa.table(sums))
        size = Shards(Path(folder), "sums").file(0).stat().st_size
        yield _row(case, "file of sums, per sum", "bytes", [size / (2 * responses)])
    yield _row(case, "table in memory, per value", "bytes", [table.nbytes / values])
    yield _row(case, "ids in memory, per token", "bytes", [_held(responses)])
    yield from _sent(case, part, table)


def _held(responses: int) -> float:
    tracemalloc.start()
    part = part_of(responses, np.random.default_rng(0))
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return held / sum(map(len, part))


def _sent(case: str, part: list[TokenSequence], table: pa.Table) -> Iterator[ResultRow]:
    """By Ray: ids to an actor and a table back."""
    import ray

    def scored(_: object) -> pa.Table:
        return table

    packed = ray.cloudpickle.dumps(part)
    tokens = sum(map(len, part))
    yield _row(case, "ids sent, per token", "bytes", [len(packed) / tokens])
    yield _row(case, "ids packed", "seconds", _timed(lambda: ray.cloudpickle.dumps(part)))
    work = ray.remote(scored)
    seconds = _timed(lambda: ray.get(work.remote(part)))
    yield _row(case, "ids to a process and a table back, by Ray", "seconds", seconds)


def _timed(call: Callable[[], object]) -> list[float]:
    found = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return found[1:]


def _row(case: str, metric: str, unit: str, values: Sequence[float]) -> ResultRow:
    middle = statistics.median(values)
    found = Estimate(value=middle, low=min(values), high=max(values), n=len(values))
    return ResultRow(
        case=case, method="driver", metric=metric, unit=unit, seeds=[0], estimate=found, reason=None
    )


def main() -> None:
    """Measure, print, and keep with --write."""
    import ray

    parser = argparse.ArgumentParser(description="What the driver of a cluster does for a shard.")
    parser.add_argument("--write", action="store_true", help="write the table under docs/results")
    asked = parser.parse_args()
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    rows = [row for responses in (256, 2048, 8192) for row in rows_of(responses)]
    ray.shutdown()
    for row in rows:
        if row.estimate is not None:
            found = row.estimate
            line = f"{row.case:16} {row.metric:44} {found.value:10.4g} {row.unit}"
            sys.stdout.write(f"{line} ({found.low:.4g} to {found.high:.4g}, n = {found.n})\n")
    if asked.write:
        write_table("driver", rows, INTERVALS)


if __name__ == "__main__":
    main()
