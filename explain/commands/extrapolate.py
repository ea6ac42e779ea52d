"""The command `irl extrapolate`."""

from typing import Annotated, Any

import typer

from irl.options import (
    Aligned,
    AllowCode,
    Aspects,
    Config,
    Fresh,
    Json,
    Out,
    Prompts,
    Reference,
    Seed,
    Set,
)
from irl.records import ExtrapolationReport
from irl.records.base import said


def extrapolate(
    aligned: Aligned = None,
    reference: Reference = None,
    prompts: Prompts = None,
    reward: Annotated[
        str | None, typer.Option(help="Recovered from this pair: a run, or a reward model.")
    ] = None,
    gold: Annotated[str | None, typer.Option(help="A reward held to be true.")] = None,
    aspects: Aspects = None,
    allow_code: AllowCode = None,
    seed: Seed = None,
    out: Out = None,
    fresh: Fresh = False,
    config: Config = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Go on in the direction of alignment: what happens to the reward, and at what KL?

    theta = reference + (1 + alpha) (aligned - reference), alpha from -1 to 1.5; beside it random
    directions of the same length and the mixture of both policies' logits.
    """
    from explain.jobs.extrapolate import ExtrapolationSettings
    from irl.config import merged

    flags: dict[str, Any] = {
        "aligned": aligned,
        "reference": reference,
        "prompts": prompts,
        "reward": reward,
        "gold": gold,
        "aspects": aspects,
        "allow_code": allow_code,
        "seed": seed,
    }
    settings = ExtrapolationSettings.checked(merged(config, set_ or [], flags))
    from explain.jobs.extrapolate import extrapolate as run_extrapolate
    from irl.jobs.terminal import nothing_done

    done = run_extrapolate(settings, out, fresh=fresh)
    if done.was_finished:
        nothing_done(done.run.path)
    typer.echo(done.report.model_dump_json(indent=1) if as_json else _told(done.report))
    if not as_json:
        typer.echo(f"Run: {done.run.path}")


def _told(report: ExtrapolationReport) -> str:
    lines = [
        f"Gains over the reference on {report.prompts} prompts (its answers: "
        f"{report.reference_length_tokens:.1f} tokens).",
        f"{'path':10} {'alpha':>6} {'KL, nats':>9} {'tokens':>7}  {'reward':26} gold",
    ]
    for at in report.points:
        lines.append(
            f"{at.path:10} {at.alpha:6g} {at.kl_nats.value:9.3f} {at.length_tokens.value:7.1f}  "
            f"{said(at.reward):26} {said(at.gold)}"
        )
    lines.append(
        f"Random directions beyond the aligned policy gain {said(report.random_gain)} of it."
    )
    return "\n".join([*lines, *(caveat.text for caveat in report.caveats)])
