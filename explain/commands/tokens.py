"""`irl tokens`: every answer of one token."""

from typing import Annotated

import typer

from irl.jobs.terminal import nothing_done, progress
from irl.options import (
    Aligned,
    Config,
    Fresh,
    Json,
    Out,
    PromptLimit,
    Prompts,
    Reference,
    Seed,
    Set,
)


def tokens(
    aligned: Aligned = None,
    reference: Reference = None,
    prompts: Prompts = None,
    prompt_limit: PromptLimit = None,
    run: Annotated[
        str | None,
        typer.Option(help="Audit of this pair; its fitted weights are put beside the words."),
    ] = None,
    floor: Annotated[
        float | None, typer.Option(help="Answers less likely under both policies are not ranked.")
    ] = None,
    seed: Seed = None,
    out: Out = None,
    fresh: Fresh = False,
    config: Config = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Score every answer of one token to given prompts, exactly: the best, the worst, a table."""
    flags = {
        "aligned": aligned,
        "reference": reference,
        "prompts": prompts,
        "prompt_limit": prompt_limit,
        "run": run,
        "floor": floor,
        "seed": seed,
    }
    from explain.jobs.one_token import run_tokens
    from explain.jobs.one_token_scores import TokensSettings
    from explain.summary import tokens_summary

    settings = TokensSettings.read(config, set_ or [], flags)
    done = run_tokens(settings, out, fresh=fresh, progress=progress())
    if done.was_finished:
        nothing_done(done.run.path)
    typer.echo(done.report.to_json() if as_json else tokens_summary(done.report))
    if not as_json:
        typer.echo(f"Every token: {done.run.path / 'one_token.parquet'}")
