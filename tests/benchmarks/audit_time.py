"""`python -m tests.benchmarks.audit_time [--write]`: where the seconds of `make audit` go.

Audits the bundled pair afresh, as `make audit` does, three times; --write puts the medians into
docs/speed.md.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

REPEATS = 3
PAGE = Path("docs/speed.md")
BEGIN, END = "<!-- audit: made by python -m tests.benchmarks.audit_time --write -->", "<!-- end -->"
STAGES = {
    "loading": "two checkpoints read, their hashes, their heads tried",
    "sampling": "8 answers to each of 354 prompts from both policies",
    "scoring": "5,664 answers and the labelled pairs under both policies",
    "objectives": "terms and conditions searched, sign flips",
    "recovery": "term reward fitted out of fold, with intervals",
    "aspects": "declared features priced",
    "contexts": "words whose price depends on the words before them",
    "evaluation": "drift, agreement, identifiability, bootstraps",
    "writing": "tables and the reward",
}
REST = "the rest"


def one_audit() -> dict[str, float]:
    """Seconds by stage; the rest is the interpreter, imports, hashes of the run and the page."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        start = time.perf_counter()
        command = [sys.executable, "-m", "irl", "audit", "--fresh", "--out", str(run)]
        subprocess.run(command, check=True, capture_output=True)
        whole = time.perf_counter() - start
        seconds = json.loads((run / "report.json").read_text())["timings_seconds"]
    return {**seconds, REST: whole - sum(seconds.values()), "all": whole}


def table() -> str:
    """Markdown: medians of the repeats, the least and the greatest."""
    found: dict[str, list[float]] = defaultdict(list)
    for _ in range(REPEATS):
        for stage, seconds in one_audit().items():
            found[stage].append(seconds)
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    lines = [
        f"{cores} cores, load {load:.1f}, {REPEATS} audits: median, least to greatest.",
        "",
        "| stage | seconds | | what is done |",
        "|---|---|---|---|",
    ]
    meaning = {**STAGES, REST: "interpreter, imports, the page", "all": "`make audit`"}
    for stage, values in found.items():
        spread = f"{min(values):.1f} to {max(values):.1f}"
        middle = statistics.median(values)
        lines.append(f"| {stage} | {middle:.1f} | {spread} | {meaning.get(stage, '')} |")
    return "\n".join(lines)


def main() -> None:
    """Print the table, or put it into the page."""
    made = table()
    sys.stdout.write(made + "\n")
    if "--write" in sys.argv:
        before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
        after = rest.split(END)[1]
        PAGE.write_text(f"{before}{BEGIN}\n\n{made}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
