"""`irl segments`: what sentences, lines, or what delimiters part, gain and are paid."""

from typing import Annotated

import typer

from irl.jobs.terminal import nothing_done
from irl.options import Config, Fresh, Json, Out, Seed, Set


def segments(
    run: Annotated[
        str | None, typer.Option(help="A finished run with its tokens: path, id or its beginning.")
    ] = None,
    by: Annotated[str | None, typer.Option(help="sentence, line, message or delimiters.")] = None,
    delimiter: Annotated[
        list[str] | None,
        typer.Option(help="A segment begins with each, such as '<|reflect|>'; repeatable."),
    ] = None,
    seed: Seed = None,
    out: Out = None,
    fresh: Fresh = False,
    config: Config = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Say what the segments of a run's answers gain and are paid; no model is loaded."""
    from explain.jobs.segment_credit import SegmentSettings, run_segments
    from explain.segment_words import segments_summary

    flags = {"run": run, "by": by, "delimiters": delimiter or None, "seed": seed}
    done = run_segments(SegmentSettings.read(config, set_ or [], flags), out, fresh=fresh)
    if done.was_finished:
        nothing_done(done.run.path)
    typer.echo(done.report.to_json() if as_json else segments_summary(done.report))
    if not as_json:
        typer.echo(f"Every segment: {done.run.path / 'segments.parquet'}")
