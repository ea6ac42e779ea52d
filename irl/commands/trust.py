"""The command `irl trust`."""

from typing import Annotated, Any

import typer

from irl.jobs.terminal import nothing_done
from irl.options import Config, Fresh, Json, Out, Prompts, Reference, Seed, Set


def trust(
    reward: Annotated[str | None, typer.Option(help="A run of irl ensemble.")] = None,
    responses: Annotated[
        str | None, typer.Option(help="Samples: prompt, response; of --policy, if that is given.")
    ] = None,
    policy: Annotated[
        str | None, typer.Option(help="Whose answers; without --responses it is asked for some.")
    ] = None,
    reference: Reference = None,
    prompts: Prompts = None,
    seed: Seed = None,
    out: Out = None,
    fresh: Fresh = False,
    config: Config = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """May a reward be believed on these responses, and which of them need a person?

    KL and effective sample size first, then variance over members and distance to what the reward
    was fitted to; a light that variance alone never turns green. The run folder's triage.parquet
    sorts every response: out of distribution, locally wrong, boundary or settled.
    """
    from irl.config import merged
    from irl.jobs.trust_settings import TrustSettings

    flags: dict[str, Any] = {
        "reward": reward,
        "responses": responses,
        "policy": policy,
        "reference": reference,
        "prompts": prompts,
        "seed": seed,
    }
    settings = TrustSettings.checked(merged(config, set_ or [], flags))
    from irl.evaluation.trust_words import trust_summary
    from irl.jobs.trust import trust as run_trust

    done = run_trust(settings, out, fresh=fresh)
    if done.was_finished:
        nothing_done(done.run.path)
    typer.echo(done.report.to_json() if as_json else trust_summary(done.report))
    if not as_json:
        typer.echo(f"Responses: {done.run.path / 'triage.parquet'}")
