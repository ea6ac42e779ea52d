"""The command `irl align`."""

from typing import Annotated, Any

import typer

from irl.options import Config, Fresh, Json, Out, Prompts, Seed, Set
from irl.records import AlignReport
from irl.records.base import said


def align(
    reward: Annotated[
        str | None, typer.Option(help="A run that stored a reward, or a reward model.")
    ] = None,
    policy: Annotated[
        str | None, typer.Option(help="Where training starts; also the reference.")
    ] = None,
    prompts: Prompts = None,
    gold: Annotated[
        str | None, typer.Option(help="A reward held to be true; watched, never optimised.")
    ] = None,
    method: Annotated[str | None, typer.Option(help="rloo or grpo.")] = None,
    beta: Annotated[
        float | None, typer.Option(help="Price of a nat of KL, in units of the reward.")
    ] = None,
    aggregation: Annotated[
        str | None, typer.Option(help="Of an ensemble: mean, median, min, uwo or quantile.")
    ] = None,
    member: Annotated[
        int | None, typer.Option(help="Optimise one member; the others watch.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of the trainer.")] = None,
    lora: Annotated[bool | None, typer.Option("--lora", help="Train an adapter.")] = None,
    stop_on_warning: Annotated[
        bool | None, typer.Option("--stop-on-warning", help="End where gains lose their meaning.")
    ] = None,
    seed: Seed = None,
    out: Out = None,
    fresh: Fresh = False,
    config: Config = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Optimise a policy for a reward by TRL, with KL, and watch what that does.

    The same command goes on after a kill. The run folder's `policy` is the result, `steps.jsonl`
    what was seen on the way.
    """
    from irl.config import merged
    from irl.jobs.align_settings import AlignSettings

    flags: dict[str, Any] = {
        "reward": reward,
        "policy": policy,
        "prompts": prompts,
        "gold": gold,
        "method": method,
        "beta": beta,
        "aggregation": aggregation,
        "member": member,
        "steps": steps,
        "lora": lora,
        "stop_on_warning": stop_on_warning,
        "seed": seed,
    }
    settings = AlignSettings.checked(merged(config, set_ or [], flags))
    from irl.jobs.align import align as run_align
    from irl.jobs.terminal import nothing_done

    done = run_align(settings, out, fresh=fresh)
    if done.was_finished:
        nothing_done(done.run.path)
    typer.echo(done.report.model_dump_json(indent=1) if as_json else _told(done.report))
    if not as_json:
        typer.echo(f"Policy: {done.policy}")


def _told(report: AlignReport) -> str:
    last = report.last
    lines = [
        f"{report.method}, beta {report.beta:g}, {report.steps} steps on {report.prompts} prompts; "
        f"gains over the reference on {report.watched_prompts} others:",
        f"reward {said(last.proxy)}, lowest quarter of members {said(last.lower)}, gold "
        f"{said(last.gold)}",
        f"KL {said(last.kl_nats)} nats, entropy {said(last.entropy_nats)} nats, length "
        f"{said(last.length_tokens)} tokens (reference {last.reference_length_tokens:.1f})",
    ]
    return "\n".join([*lines, *(caveat.text for caveat in report.caveats)])
