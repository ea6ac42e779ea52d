"""The command `irl parity`."""

from pathlib import Path
from typing import Annotated

import typer

from irl.options import Config, Json, PromptLimit, Prompts, Seed, Set


def parity(
    out: Annotated[Path, typer.Option(help="The record to write, say parity.json.")],
    served: Annotated[
        str | None, typer.Option(help="File about a served policy: url, model, tokenizer.")
    ] = None,
    local: Annotated[
        str | None, typer.Option(help="The checkpoint that it serves: directory or hub id.")
    ] = None,
    prompts: Prompts = None,
    prompt_limit: PromptLimit = None,
    tolerance: Annotated[
        float | None,
        typer.Option(help="Nats that a token may differ by; default 0.05."),
    ] = None,
    seed: Seed = None,
    config: Config = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Does a server score and draw as its checkpoint does here? Exit 1 if it does not."""
    from irl.config import merged
    from irl.jobs.parity import ParitySettings
    from irl.jobs.parity import parity as run_parity

    flags = {
        "served": served,
        "local": local,
        "prompts": prompts,
        "prompt_limit": prompt_limit,
        "tolerance_nats": tolerance,
        "seed": seed,
    }
    settings = ParitySettings.checked(merged(config, set_ or [], flags))
    record = run_parity(settings, out)
    if as_json:
        typer.echo(record.to_json())
    else:
        token, response = record.token_nats, record.response_nats
        typer.echo(
            f"{record.sequences} answers, {record.tokens} tokens. Nats between server and here: "
            f"{token.mean:.2g} a token, at most {token.largest:.2g} "
            f"(allowed {record.tolerance_nats:g}); {response.mean:.2g} a response, at most "
            f"{response.largest:.2g}; when repeated at most {record.repeated_nats:.2g} a token. "
            f"Surprise of its samples {record.surprise_nats:.2g} "
            f"(told from {record.smallest_surprise_nats:.2g} on)."
        )
        for failure in record.failures:
            typer.echo(f"Failed: {failure}.")
        typer.echo(f"{'Passed' if record.passed else 'Not passed'}: {out}")
    if not record.passed:
        raise typer.Exit(1)
