"""The command `irl recover`."""

from typing import Annotated

import typer

from irl.engine.settings import EngineSettings
from irl.jobs.terminal import progress
from irl.options import (
    Aligned,
    Config,
    Fresh,
    Json,
    MethodOption,
    Out,
    Preferences,
    Prompts,
    Reference,
    Seed,
    Set,
    with_engine,
)


@with_engine
def recover(
    aligned: Aligned = None,
    reference: Reference = None,
    prompts: Prompts = None,
    aligned_samples: Annotated[
        str | None, typer.Option(help="Samples of the aligned policy: prompt, response.")
    ] = None,
    reference_samples: Annotated[
        str | None, typer.Option(help="Samples of the reference, to the same prompts.")
    ] = None,
    preferences: Preferences = None,
    method: MethodOption = None,
    seed: Seed = None,
    out: Out = None,
    fresh: Fresh = False,
    config: Config = None,
    set_: Set = None,
    as_json: Json = False,
    *,
    where: EngineSettings,
) -> None:
    """Recover an explicit reward from a pair, or from samples of both policies alone.

    The run folder's `reward` can be loaded again.
    """
    from irl.config import recovery_settings

    flags = {
        "aligned": aligned,
        "reference": reference,
        "prompts": prompts,
        "aligned_samples": aligned_samples,
        "reference_samples": reference_samples,
        "preferences": preferences or None,
        "method": method,
        "seed": seed,
    }
    settings = recovery_settings(config, set_ or [], flags)
    from irl.engine.ray_cluster import engine_of
    from irl.jobs.any_recovery import recover as run_recover

    with engine_of(where) as engine:
        done = run_recover(settings, out, fresh=fresh, progress=progress(), engine=engine)
    if as_json:
        typer.echo(done.report.model_dump_json(indent=1))
        return
    from explain.summary import recovery_summary

    typer.echo(recovery_summary(done.report))
    typer.echo(f"Reward: {done.run.path / 'reward'}")
