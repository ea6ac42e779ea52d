"""The command `irl prompts`."""

from typing import Annotated, Any

import typer

from irl.jobs.terminal import nothing_done
from irl.options import Config, Fresh, Json, Out, Seed, Set


def prompts(
    log: Annotated[
        str | None,
        typer.Option(help="Outcomes: query, prompt, outcome from 0 to 1, maybe response."),
    ] = None,
    policy: Annotated[
        str | None, typer.Option(help="A checkpoint that answers every query under every prompt.")
    ] = None,
    reward: Annotated[
        str | None,
        typer.Option(help="What scores these answers: fitted to outcomes, not to comparisons."),
    ] = None,
    absolute: Annotated[
        bool | None,
        typer.Option("--absolute", help="Vouch that the reward was fitted to absolute labels."),
    ] = None,
    queries: Annotated[
        str | None, typer.Option(help="Queries to choose prompts for; default those of the log.")
    ] = None,
    candidates: Annotated[
        str | None, typer.Option(help="Prompts to choose among; default those of the log.")
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="What embeds the texts; else their words are counted.")
    ] = None,
    form: Annotated[
        str | None, typer.Option(help="linear, mlp or boosted (needs LightGBM).")
    ] = None,
    seed: Seed = None,
    out: Out = None,
    fresh: Fresh = False,
    config: Config = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Find the best and the worst prompt for every query, and those a policy behaves worst under.

    A log-ratio cannot do it: it has a free constant for every prompt.
    """
    from irl.config import merged
    from irl.jobs.prompts_settings import PromptsSettings

    flags: dict[str, Any] = {
        "log": log,
        "policy": policy,
        "reward": reward,
        "absolute": absolute,
        "queries": queries,
        "candidates": candidates,
        "base": base,
        "form": form,
        "seed": seed,
    }
    settings = PromptsSettings.checked(merged(config, set_ or [], flags))
    from irl.evaluation.prompt_words import prompts_summary
    from irl.jobs.prompts import choose_prompts

    done = choose_prompts(settings, out, fresh=fresh)
    if done.was_finished:
        nothing_done(done.run.path)
    typer.echo(done.report.to_json() if as_json else prompts_summary(done.report))
    if not as_json:
        typer.echo(f"Choices: {done.run.path / 'choices.parquet'}")
