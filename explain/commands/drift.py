"""`irl drift`: a policy over its checkpoints."""

from typing import Annotated

import typer

from irl.engine.settings import EngineSettings
from irl.errors import InputError
from irl.jobs.terminal import nothing_done, progress
from irl.options import (
    Config,
    Fresh,
    Json,
    Out,
    PromptLimit,
    Prompts,
    Reference,
    Seed,
    Set,
    with_engine,
)


@with_engine
def drift(
    more: Annotated[
        list[str] | None, typer.Argument(help="Further checkpoints, after the first.")
    ] = None,
    aligned: Annotated[
        list[str] | None,
        typer.Option(
            help="Checkpoints in order, or a folder of checkpoint-100, checkpoint-200, ..."
        ),
    ] = None,
    reference: Reference = None,
    prompts: Prompts = None,
    prompt_limit: PromptLimit = None,
    seed: Seed = None,
    out: Out = None,
    fresh: Fresh = False,
    config: Config = None,
    set_: Set = None,
    as_json: Json = False,
    *,
    where: EngineSettings,
) -> None:
    """Follow KL, entropy, length and the weights of terms over the checkpoints of a training."""
    if more and len(aligned or ()) != 1:
        raise InputError(
            "Give the checkpoints as --aligned A1 A2 A3, or each with an --aligned of its own."
        )
    flags = {
        "aligned": [*(aligned or ()), *(more or ())] or None,
        "reference": reference,
        "prompts": prompts,
        "prompt_limit": prompt_limit,
        "seed": seed,
    }
    from explain.jobs.series import run_drift
    from explain.summary import series_summary
    from irl.engine.ray_cluster import engine_of
    from irl.jobs.checkpoints import SeriesSettings

    settings = SeriesSettings.read(config, set_ or [], flags)
    with engine_of(where) as engine:
        done = run_drift(settings, out, fresh=fresh, progress=progress(), engine=engine)
    if done.was_finished:
        nothing_done(done.run.path)
    typer.echo(done.report.to_json() if as_json else series_summary(done.report))
    if not as_json:
        typer.echo(f"Report: {done.run.path / 'series.html'}")
