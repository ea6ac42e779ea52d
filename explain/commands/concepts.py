"""`irl concepts`: directions in hidden states, and whether the target goes with them."""

from typing import Annotated

import typer

from irl.jobs.terminal import nothing_done
from irl.options import AllowCode, Config, Fresh, Json, Out, Seed, Set


def concepts(
    run: Annotated[
        str | None, typer.Option(help="A finished audit or score run: path, id or its beginning.")
    ] = None,
    concepts: Annotated[
        str | None, typer.Option(help="concepts.yaml; default every stock aspect.")
    ] = None,
    allow_code: AllowCode = None,
    target: Annotated[
        str | None,
        typer.Option(help="log-ratio, or the folder of a run that stored a transformer reward."),
    ] = None,
    layer: Annotated[
        list[int] | None, typer.Option(help="From 1 on; repeatable. Default the middle one.")
    ] = None,
    prompts: Annotated[int | None, typer.Option(help="How many, drawn at random.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Up to four layers.")] = False,
    seed: Seed = None,
    out: Out = None,
    fresh: Fresh = False,
    config: Config = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Find concepts as directions in hidden states; does what was trained go with them?"""
    from explain.concepts.told import concepts_summary
    from explain.jobs.concepts import ConceptSettings, run_concepts

    flags = {
        "run": run,
        "concepts": concepts,
        "allow_code": allow_code,
        "target": target,
        "layers": layer or None,
        "spread": full or None,
        "prompts": prompts,
        "seed": seed,
    }
    done = run_concepts(ConceptSettings.read(config, set_ or [], flags), out, fresh=fresh)
    if done.was_finished:
        nothing_done(done.run.path)
    typer.echo(done.report.to_json() if as_json else concepts_summary(done.report))
    if not as_json:
        typer.echo(f"Every answer: {done.run.path / 'concepts.parquet'}")
