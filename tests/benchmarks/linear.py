"""`python -m tests.benchmarks.linear [N ...]`: does cost grow with the responses and nothing else?

Scores 1,000, 10,000 and 100,000 responses of a tiny model in shards that are read and written one
at a time, each number in a process of its own, in turns, three times. Memory counts the growth of
the process over what it held before the first shard.
"""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import overload

from irl.config import Sampling
from irl.engine.local import RESPONSES_PER_SHARD, Workshop, score_parts
from irl.policies.pair import PolicyPair
from irl.policies.threads import keep_to_cores
from irl.tensors import TokenSequence
from tests.benchmarks.lengths import sequences
from tests.benchmarks.scoring_worker import policy_of
from tests.benchmarks.shapes import random_model

PIECES = 4000
NUMBERS = (1_000, 10_000, 100_000)
REPEATS = 3
_SHORTER = 8
"Real lengths over this: a tiny model reads short texts"


class Parts(Sequence[list[TokenSequence]]):
    """Shards of responses that are made when they are asked for, and kept by nobody."""

    def __init__(self, n_responses: int) -> None:
        self.sizes = [
            min(RESPONSES_PER_SHARD, n_responses - start)
            for start in range(0, n_responses, RESPONSES_PER_SHARD)
        ]
        self.known = sequences("pairs", 512, PIECES, 512)

    def __len__(self) -> int:
        return len(self.sizes)

    @overload
    def __getitem__(self, index: int) -> list[TokenSequence]: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[list[TokenSequence]]: ...

    def __getitem__(
        self, index: int | slice
    ) -> list[TokenSequence] | Sequence[list[TokenSequence]]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        first = index * RESPONSES_PER_SHARD
        return [self._made(first + at) for at in range(self.sizes[index])]

    def _made(self, number: int) -> TokenSequence:
        """The prompt changes after every second response; no two prompts are the same."""
        known = self.known[number % len(self.known)]
        turn = (number // 2, number // 2 // PIECES)
        short = [ids[: len(ids) // _SHORTER + 1] for ids in (known.prompt_ids, known.response_ids)]
        return TokenSequence((*(at % PIECES for at in turn), *short[0]), short[1])


def measure(n_responses: int) -> dict[str, float]:
    """Seconds per response and growth of memory in bytes."""
    threads = keep_to_cores()
    pair = PolicyPair(*(policy_of(random_model("tiny", seed)) for seed in (0, 1)))
    parts = Parts(n_responses)
    with tempfile.TemporaryDirectory() as folder:
        for _ in score_parts(pair, parts[:1], Workshop(Path(folder) / "warm", Sampling(), 0)):
            pass
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start, used = time.perf_counter(), time.process_time()
        work = Workshop(Path(folder) / "run", Sampling(), 0)
        rows = sum(table.num_rows for table in score_parts(pair, parts, work))
        seconds, used = time.perf_counter() - start, time.process_time() - used
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "microseconds": 1e6 * seconds / rows,
        "cpu_microseconds": 1e6 * used / rows,
        "peak_mb": after * 1024 / 1e6,
        "growth_mb": (after - before) * 1024 / 1e6,
        "threads": threads,
    }


def main(numbers: Sequence[int]) -> None:
    """Print a line for each number of responses: medians, least and greatest."""
    found: dict[int, list[dict[str, float]]] = {number: [] for number in numbers}
    for _ in range(REPEATS):
        for number in numbers:
            command = [sys.executable, "-m", "tests.benchmarks.linear", "--one", str(number)]
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            found[number].append(json.loads(said.splitlines()[-1]))
    for number, repeats in found.items():
        line = f"{number:7} responses"
        for unit in ("microseconds", "cpu_microseconds", "peak_mb", "growth_mb"):
            values = [one[unit] for one in repeats]
            middle = statistics.median(values)
            line += f"  {unit} {middle:.0f} ({min(values):.0f} to {max(values):.0f})"
        sys.stdout.write(line + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        sys.stdout.write(json.dumps(measure(int(sys.argv[2]))) + "\n")
    else:
        main([int(number) for number in sys.argv[1:]] or NUMBERS)
