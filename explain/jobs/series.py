"""The job `irl drift`: checkpoints of one training in, series.parquet and a page out.

Every checkpoint is looked at in the same way (`irl.jobs.checkpoints`); the terms that were found at
any of them are then weighed at every one (`irl.evaluation.series`), so that they can be followed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from explain.series_page import render_series, series_caveats
from irl.engine.engine import HERE, Engine
from irl.engine.shards import Progress, silent
from irl.evaluation.series import Common, common_terms, weighed
from irl.jobs.checkpoints import Measured, SeriesSettings, Surveyed, Visit, survey, visits
from irl.jobs.clock import Clock, peak_memory_bytes
from irl.jobs.scoring import prompts_of
from irl.policies.quiet import quiet_libraries
from irl.policies.series import checkpoints_of, short_names
from irl.records import SeriesCheckpoint, SeriesReport, SeriesRow
from irl.runs import RunFolder, now, open_run, read_record, versions


@dataclass(frozen=True)
class Series:
    """A finished series."""

    run: RunFolder
    report: SeriesReport
    was_finished: bool
    "True if the run was found finished and nothing was done"


def drift(
    checkpoints: Sequence[str | Path],
    reference: str | Path | None = None,
    *,
    prompts: str | Path,
    out: str | Path | None = None,
    fresh: bool = False,
    **settings: Any,
) -> SeriesReport:
    """Follow a policy over its checkpoints from a script; `settings` as in `SeriesSettings`.

    Raises:
        InputError: a file or setting cannot be used.
        PolicyError: a checkpoint cannot be loaded, or not be compared with the others.
        RunError: the run folder cannot be written or holds another run.
    """
    given = {"aligned": tuple(map(str, checkpoints)), "prompts": str(prompts), **settings}
    if reference is not None:
        given["reference"] = str(reference)
    resolved = SeriesSettings.checked(given)
    return run_drift(resolved, None if out is None else Path(out), fresh=fresh).report


def run_drift(
    settings: SeriesSettings,
    out: Path | None = None,
    *,
    fresh: bool = False,
    progress: Progress = silent,
    engine: Engine = HERE,
) -> Series:
    """Follow the checkpoints that the settings name.

    An unfinished run is continued, a finished one returned as it is.
    """
    quiet_libraries()
    clock = Clock()
    sources = checkpoints_of(settings.aligned)
    table = prompts_of(settings.of(sources[0]))
    with clock.stage("loading"):
        surveyed = survey(settings, sources, weights=engine.models_here)
    inputs = {f"aligned-{at}": one.policy.sha256 for at, one in enumerate(surveyed)}
    inputs |= {"reference": surveyed[0].reference.sha256, "prompts": table.sha256}
    run = open_run("drift", settings.model_dump(mode="json"), inputs, out, fresh=fresh)
    if run.finished:
        return Series(run, read_record(run.path / "series.json", SeriesReport), was_finished=True)
    seen = list(visits(run, settings, sources, table, clock, progress, engine))
    report = _report(run, settings, surveyed, seen, clock)
    run.write_table("series.parquet", series_table(report.rows))
    run.write_text("series.json", report.to_json())
    run.write_text("series.html", render_series(report))
    run.finish({"checkpoints": len(seen), **seen[0].counts, "responses": _answers(seen)})
    return Series(run, report, was_finished=False)


def series_table(rows: Sequence[SeriesRow]) -> pa.Table:
    """series.parquet: one row per checkpoint, measure and name; null where nothing is told."""
    flat = [
        row.model_dump(exclude={"estimate"}) | (row.estimate.model_dump() if row.estimate else {})
        for row in rows
    ]
    return pa.Table.from_pylist(flat, schema=SERIES)


SERIES = pa.schema(
    [("checkpoint", pa.string()), ("order", pa.int32())]
    + [(name, pa.string()) for name in ("measure", "name")]
    + [(name, pa.float64()) for name in ("value", "low", "high")]
    + [("n", pa.int64())],
    metadata={"schema": "irl.series/1"},
)


def _answers(seen: Sequence[Visit]) -> int:
    """All answers that were drawn; those of the reference count once."""
    own = [visit.counts["responses"] // 2 for visit in seen]
    return sum(own) + own[0]


def _report(
    run: RunFolder,
    settings: SeriesSettings,
    surveyed: Sequence[Surveyed],
    seen: Sequence[Visit],
    clock: Clock,
) -> SeriesReport:
    names = short_names([one.policy.source for one in surveyed])
    with clock.stage("recovery"):
        common = common_terms([visit.heard for visit in seen])
        measured = [visit.measured | _weights(visit, common, settings) for visit in seen]
    return SeriesReport(
        schema="irl.series/1",
        run_id=run.run_id,
        created=now(),
        versions=versions(),
        settings=run.settings,
        reference=surveyed[0].reference,
        checkpoints=[
            SeriesCheckpoint(name=name, order=at, policy=one.policy, counts=visit.counts)
            for at, (name, one, visit) in enumerate(zip(names, surveyed, seen, strict=True))
        ],
        terms=list(common.terms),
        rows=list(_rows(names, measured)),
        caveats=[
            *series_caveats([visit.counts for visit in seen], settings.sampling.temperature),
            *dict.fromkeys(caveat for one in surveyed for caveat in one.caveats),
        ],
        timings_seconds=dict(clock.seconds),
        peak_memory_bytes=peak_memory_bytes(),
    )


def _weights(visit: Visit, common: Common, settings: SeriesSettings) -> Measured:
    """The weights of the common terms at one checkpoint."""
    found = weighed(visit.heard, common, settings.fitting.bootstrap_draws, settings.seed)
    return {
        ("term_weight_nats" if name else "word_weight_nats", name): estimate
        for name, estimate in found.items()
    }


def _rows(names: Sequence[str], measured: Sequence[Measured]) -> Iterator[SeriesRow]:
    for order, (checkpoint, found) in enumerate(zip(names, measured, strict=True)):
        for (measure, name), estimate in found.items():
            yield SeriesRow(
                checkpoint=checkpoint, order=order, measure=measure, name=name, estimate=estimate
            )
