"""`irl attribute`: what the segments of answers contribute, and whether to believe it."""

from typing import Annotated

import typer

from irl.jobs.terminal import nothing_done, progress
from irl.options import Config, Fresh, Json, Out, Seed, Set


def attribute(
    run: Annotated[
        str | None, typer.Option(help="A finished audit or score run: path, id or its beginning.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="log-ratio, or reward: what the run recovered.")
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="ablation, kernel-shap, integrated-gradients, gradient-shap or deeplift; "
            "repeatable."
        ),
    ] = None,
    by: Annotated[str | None, typer.Option(help="word, sentence, line or message.")] = None,
    prompts: Annotated[int | None, typer.Option(help="How many; two answers to each.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Every method.")] = False,
    seed: Seed = None,
    out: Out = None,
    fresh: Fresh = False,
    config: Config = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Attribute answers of a run to their words, and measure how faithful that is."""
    from explain.jobs.attribution import EVERY, AttributeSettings, run_attribute
    from explain.summary import attribution_summary

    flags = {
        "run": run,
        "target": target,
        "methods": EVERY if full else method or None,
        "by": by,
        "prompts": prompts,
        "seed": seed,
    }
    settings = AttributeSettings.read(config, set_ or [], flags)
    done = run_attribute(settings, out, fresh=fresh, progress=progress())
    if done.was_finished:
        nothing_done(done.run.path)
    typer.echo(done.report.to_json() if as_json else attribution_summary(done.report))
    if not as_json:
        typer.echo(f"Every value: {done.run.path / 'attributions.parquet'}")
