"""`python -m tests.benchmarks.workers [--write]`: are two workers as fast as twice one?

Scores responses under two policies of Pythia-70M's shape, in 16 shards, by one worker and by two
(a Ray cluster of two nodes on this machine, one thread each), and in this process with one thread.
The three take turns, each after nothing else has used the processor for some seconds. What is timed
is the work and the writing of shards: the workers have started, loaded the pair and scored a shard
before.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from ray.cluster_utils import Cluster

from irl.config import Sampling
from irl.engine.engine import HERE, Engine
from irl.engine.local import Workshop, score_parts
from irl.engine.on_ray import OnRay
from irl.engine.ray_cluster import connected
from irl.engine.ray_room import Room
from irl.policies.pair import PolicyPair, load_pair
from irl.policies.quiet import quiet_libraries
from irl.records import Estimate, ResultRow
from irl.runs import file_sha256
from irl.tensors import TokenSequence
from tests import fakes
from tests.benchmarks.lengths import sequences
from tests.benchmarks.shapes import random_model
from tests.benchmarks.tables import write_table

SHAPE, SHARDS, RESPONSES_PER_SHARD = "Pythia-70M", 16, 8
REPEATS = 5
QUIET_SECONDS, QUIET_SHARE, PATIENCE_SECONDS = 3.0, 0.1, 60.0
HERE_ALONE, ONE, TWO = "this process", "one worker", "two workers"
INTERVALS = (
    "Values are medians of 5 repeats that took turns; the interval is from the least to the",
    "greatest, which holds the median with 94 %, whatever its distribution; n counts repeats. Each",
    "ratio is of neighbours in time.",
)
Seconds = dict[str, list[float]]


def saved_pair(folder: Path) -> PolicyPair:
    """Two random policies that every process can load."""
    sides = [
        str(fakes.save(random_model(SHAPE, seed), folder / name))
        for seed, name in enumerate(("aligned", "reference"))
    ]
    return load_pair(*sides)


def measured(pair: PolicyPair, engines: dict[str, Engine], folder: Path) -> Seconds:
    """Seconds of every engine, and a check that all write the same shards."""
    told = sequences("pairs", SHARDS * RESPONSES_PER_SHARD, 50304, 512)
    parts = [told[at::SHARDS] for at in range(SHARDS)]  # dealt: shards of 2,048 are alike as well
    seconds: Seconds = {name: [] for name in engines}
    for turn in range(-1, REPEATS):
        for name, engine in engines.items():
            into = folder / f"{name} {turn}"
            others = wait_for_quiet()
            start = time.perf_counter()
            score_all(pair, parts if turn >= 0 else parts[:2], into, engine)
            if turn >= 0:
                seconds[name].append(time.perf_counter() - start)
                told_of = f"{name} {seconds[name][-1]:.1f} s"
                sys.stdout.write(f"{turn}: {told_of}, others used {others:.0%} before\n")
            sys.stdout.flush()
        written = [
            [file_sha256(file) for file in sorted((folder / f"{name} {turn}").glob("*.parquet"))]
            for name in engines
        ]
        assert all(one == written[0] for one in written), "the engines disagree"
    return seconds


def wait_for_quiet() -> float:
    """Wait, but not for ever, until others leave the processor alone; the share that they use."""
    used = 1.0
    for _ in range(int(PATIENCE_SECONDS / QUIET_SECONDS)):
        before = _ticks()
        time.sleep(QUIET_SECONDS)
        idle, total = (now - then for now, then in zip(_ticks(), before, strict=True))
        used = 1 - idle / total
        if used < QUIET_SHARE:
            break
    return used


def _ticks() -> tuple[int, int]:
    """Idle and total, of all processors, since the machine was started."""
    counted = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:9]
    return int(counted[3]) + int(counted[4]), sum(map(int, counted))


def score_all(
    pair: PolicyPair, parts: Sequence[Sequence[TokenSequence]], folder: Path, engine: Engine
) -> None:
    """Every part into a folder of shards."""
    work = Workshop(folder, Sampling(), 0, engine=engine)
    for _ in score_parts(pair, parts, work):
        pass


def rows_of(seconds: Seconds) -> list[ResultRow]:
    """The figures."""
    ratios = {
        f"{TWO} over {ONE}": _ratios(seconds[ONE], seconds[TWO]),
        f"{ONE} over {HERE_ALONE}": _ratios(seconds[HERE_ALONE], seconds[ONE]),
    }
    return [
        *(_row(name, "time of all shards", "seconds", found) for name, found in seconds.items()),
        *(_row(name, "speed", "times", found) for name, found in ratios.items()),
    ]


def _ratios(slower: Sequence[float], faster: Sequence[float]) -> list[float]:
    return [a / b for a, b in zip(slower, faster, strict=True)]


def _row(method: str, metric: str, unit: str, values: Sequence[float]) -> ResultRow:
    middle = statistics.median(values)
    found = Estimate(value=middle, low=min(values), high=max(values), n=len(values))
    case = f"{SHAPE}, {SHARDS} shards of {RESPONSES_PER_SHARD} responses, one thread each"
    return ResultRow(
        case=case, method=method, metric=metric, unit=unit, seeds=[0], estimate=found, reason=None
    )


def main() -> None:
    """Measure, print, and keep with --write."""
    parser = argparse.ArgumentParser(description="Two workers of a cluster against one.")
    parser.add_argument("--write", action="store_true", help="write the table under docs/results")
    asked = parser.parse_args()
    quiet_libraries()
    torch.set_num_threads(1)
    node = {"num_cpus": 2, "object_store_memory": 200 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    cluster.add_node(**node)
    with tempfile.TemporaryDirectory() as folder, connected(cluster.address):
        pair = saved_pair(Path(folder))
        workers = {name: OnRay(Room(n, 1.0, 0.0, 1), 1) for n, name in ((1, ONE), (2, TWO))}
        seconds = measured(pair, {HERE_ALONE: HERE, **workers}, Path(folder))
        for engine in workers.values():
            engine.close()
    cluster.shutdown()
    rows = rows_of(seconds)
    for row in rows:
        found = row.estimate
        assert found is not None
        line = f"{row.method:28} {row.metric:20} {found.value:8.3f} {row.unit}"
        sys.stdout.write(f"{line} ({found.low:.3f} to {found.high:.3f}, n = {found.n})\n")
    if asked.write:
        write_table("workers", rows, INTERVALS)


if __name__ == "__main__":
    main()
