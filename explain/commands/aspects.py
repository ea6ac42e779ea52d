"""The command `irl aspects`."""

from typing import Annotated

import typer

from irl.jobs.terminal import nothing_done
from irl.options import AllowCode, Aspects, Config, Fresh, Json, Out, Seed, Set


def aspects(
    run: Annotated[
        str | None, typer.Option(help="A finished run with log-ratios: path, id or its beginning.")
    ] = None,
    aspects: Aspects = None,
    allow_code: AllowCode = None,
    seed: Seed = None,
    out: Out = None,
    fresh: Fresh = False,
    config: Config = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Price declared aspects of answers (length, politeness, ...) by the log-ratios of a run."""
    from explain.jobs.aspects import AspectSettings, run_aspects
    from explain.summary import aspects_summary

    flags = {"run": run, "aspects": aspects, "allow_code": allow_code, "seed": seed}
    done = run_aspects(AspectSettings.read(config, set_ or [], flags), out, fresh=fresh)
    if done.was_finished:
        nothing_done(done.run.path)
    if as_json:
        typer.echo(done.report.model_dump_json(indent=1))
        return
    typer.echo(aspects_summary(done.report, done.responses))
    typer.echo(f"Values: {done.run.path / 'aspects.parquet'}")
