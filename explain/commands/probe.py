"""The command `irl probe`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from irl.jobs.terminal import nothing_done, progress
from irl.options import (
    Aligned,
    Config,
    Fresh,
    Json,
    Out,
    Preferences,
    Prompts,
    Reference,
    Seed,
    Set,
)


def probe(
    aligned: Aligned = None,
    reference: Reference = None,
    prompts: Prompts = None,
    run: Annotated[
        str | None, typer.Option(help="A finished run: its pair, prompts and answers.")
    ] = None,
    probes: Annotated[
        str | None, typer.Option(help="probes.yaml; default the stock probes.")
    ] = None,
    preferences: Preferences = None,
    target: Annotated[
        str | None, typer.Option(help="log-ratio, or the folder of a run that stored a reward.")
    ] = None,
    seed: Seed = None,
    out: Out = None,
    fresh: Fresh = False,
    config: Config = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Edit a pair's answers: which features, biases and triggers is a policy paid for?"""
    from explain.jobs.probe_settings import probe_settings

    flags: dict[str, Any] = {
        "aligned": aligned,
        "reference": reference,
        "prompts": prompts,
        "run": run,
        "probes": probes,
        "preferences": preferences or None,
        "target": target,
        "seed": seed,
    }
    settings = probe_settings(config, set_ or [], flags)
    from explain.jobs.probe import probe_run
    from explain.probes.told import probe_summary

    done = probe_run(settings, out, fresh=fresh, progress=progress())
    if done.was_finished:
        nothing_done(done.run.path)
    typer.echo(done.report.to_json() if as_json else probe_summary(done.report))
    if not as_json:
        edited: Path = done.run.path / "probes.parquet"
        typer.echo(f"Edited answers: {edited}")
