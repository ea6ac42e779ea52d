"""`python -m tests.benchmarks.scoring [SHAPE ...] [--write]`: our scoring against the usual way.

Every way runs in a process of its own; the ways take turns, five times each. The ceiling is what
the usual way computes over what must be computed (see shapes.py): a way that spends no time but on
matrix products, at the speed of the usual way's, would be faster by so much.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from irl.records import Estimate, ResultRow
from tests.benchmarks.lengths import sequences
from tests.benchmarks.shapes import at_least, plainly, random_model
from tests.benchmarks.tables import write_table

REPEATS = 5
INTERVALS = (
    "Values are medians of 5 repeats that took turns; the interval is from the least to the",
    "greatest, which holds the median with 94 %, whatever its distribution; n counts repeats. Mean",
    "differences are over the responses of both policies, from the least to the greatest of them.",
)
OURS, HALF, USUAL, TRL = "irl", "bfloat16", "RewardBench", "TRL"


@dataclass(frozen=True)
class Case:
    """What is scored, and in which ways."""

    shape: str
    layout: str
    n_responses: int
    longest: int = 512
    ways: tuple[str, ...] = (OURS, HALF, USUAL, TRL)

    def __str__(self) -> str:
        cut = "" if self.longest == 512 else f", cut to {self.longest} tokens"
        return f"{self.shape}, {self.n_responses} {self.layout}{cut}"


CASES = (
    Case("Pythia-70M", "single responses", 32, ways=(OURS, HALF, USUAL)),
    Case("Pythia-70M", "pairs", 32),
    Case("Pythia-70M", "eight per prompt", 48, ways=(OURS, HALF, USUAL)),
    Case("Pythia-410M", "pairs", 16, longest=128, ways=(OURS, USUAL)),
    Case("Qwen3-0.6B", "pairs", 16, longest=128, ways=(OURS, USUAL)),
)
Answers = dict[str, list[dict[str, Any]]]


def measured(case: Case) -> Answers:
    """Each way's repeats, taken in turns, after one batch of each that is not counted."""
    told = [case.shape, case.layout, str(case.n_responses), str(case.longest)]
    running = {
        way: subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.scoring_worker", way, *told],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for way in case.ways
    }
    answers: Answers = {way: [] for way in case.ways}
    for _ in range(REPEATS + 1):
        for way, process in running.items():
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("\n")
            process.stdin.flush()
            answers[way].append(json.loads(process.stdout.readline()))
    for process in running.values():
        process.communicate()
    return {way: repeats[1:] for way, repeats in answers.items()}


def rows_of(case: Case, answers: Answers) -> Iterator[ResultRow]:
    """The figures of a case."""
    ceiling = ceiling_of(case)
    yield _row(case, "arithmetic", "ceiling over RewardBench", "times", [ceiling])
    seconds = {way: [one["seconds"] for one in found] for way, found in answers.items()}
    peaks = {way: [one["peak_bytes"] / 1e6 for one in found[-1:]] for way, found in answers.items()}
    for way in case.ways:
        yield _row(case, way, "time of both policies", "seconds", seconds[way])
        yield _row(case, way, "peak memory of the process", "MB", peaks[way])
        if way != USUAL:
            gap = _gap(answers[way][0]["sums"], answers[USUAL][0]["sums"])
            yield _row(case, way, "largest difference from RewardBench", "nats", [max(gap)])
            yield _row(case, way, "mean difference from RewardBench", "nats", gap, mean=True)
    for way in [way for way in (OURS, HALF) if way in case.ways]:
        for other in set(case.ways) & {USUAL, TRL}:
            faster = [b / a for a, b in zip(seconds[way], seconds[other], strict=True)]
            yield _row(case, way, f"faster than {other}", "times", faster)
            yield _row(case, way, f"memory of {other}", "times", [peaks[other][0] / peaks[way][0]])
        share = [b / a / ceiling for a, b in zip(seconds[way], seconds[USUAL], strict=True)]
        yield _row(case, way, "share of the ceiling", "share", share)


def ceiling_of(case: Case) -> float:
    """Operations of the usual way over those that nobody can do without."""
    model = random_model(case.shape, 0)
    pieces = model.config.vocab_size
    told = sequences(case.layout, case.n_responses, pieces, case.longest)
    return plainly(told).flops(model) / at_least(told).flops(model)


def _gap(ours: list[list[float]], theirs: list[list[float]]) -> list[float]:
    sides = zip(ours, theirs, strict=True)
    return [abs(a - b) for side in sides for a, b in zip(*side, strict=True)]


def _row(
    case: Case, way: str, metric: str, unit: str, values: Sequence[float], *, mean: bool = False
) -> ResultRow:
    """The median (or mean) of what was measured, from the least to the greatest."""
    middle = statistics.fmean(values) if mean else statistics.median(values)
    found = Estimate(value=middle, low=min(values), high=max(values), n=len(values))
    return ResultRow(
        case=str(case), method=way, metric=metric, unit=unit, seeds=[0], estimate=found, reason=None
    )


def main() -> None:
    """Measure, print, and keep with --write."""
    parser = argparse.ArgumentParser(description="Our scoring against the usual way.")
    parser.add_argument("shapes", nargs="*", help="Pythia-70M, ...; all if none is named")
    parser.add_argument("--write", action="store_true", help="write the table under docs/results")
    asked = parser.parse_args()
    rows: list[ResultRow] = []
    for case in CASES:
        if asked.shapes and case.shape not in asked.shapes:
            continue
        sys.stdout.write(f"{case}; load {os.getloadavg()[0]:.1f}\n")
        for row in rows_of(case, measured(case)):
            rows.append(row)
            if row.estimate is not None:
                found = row.estimate
                line = f"  {row.method:12} {row.metric:38} {found.value:10.4g} {row.unit}"
                sys.stdout.write(f"{line} ({found.low:.4g} to {found.high:.4g}, n = {found.n})\n")
        sys.stdout.flush()
    if asked.write:
        write_table("scoring", rows, INTERVALS)


if __name__ == "__main__":
    main()
