"""The command `irl best-of-n`."""

from pathlib import Path
from typing import Annotated

import typer

from irl.options import Fresh, Json
from irl.records import BestOfNReport
from irl.records.base import counted_in_words, said

Name = Annotated[
    str, typer.Argument(help="What picks: a run that stored a reward, or a reward model.")
]


def best_of_n(
    reward: Name,
    answers: Annotated[str, typer.Option(help="Samples of one policy, many to a prompt.")],
    gold: Annotated[
        str | None, typer.Option(help="What picked answers are worth; named like the reward.")
    ] = None,
    n: Annotated[
        list[int] | None, typer.Option(help="Of how many; may be given several times.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="A run folder that keeps the curves; else none is kept.")
    ] = None,
    fresh: Fresh = False,
    as_json: Json = False,
) -> None:
    """Let a reward pick among answers: what it gains, what gold gains, and where gold turns.

    Without a policy to train: the unbiased mean over all subsets of n answers, at a KL of at most
    ln n - (n - 1) / n.
    """
    from irl.jobs.best_of_n import best_of_n_curves
    from irl.rlhf.best_of_n import PUBLISHED_N

    report = best_of_n_curves(reward, answers, gold, n or PUBLISHED_N, out=out, fresh=fresh)
    typer.echo(report.model_dump_json(indent=1) if as_json else _told(report))


def _told(report: BestOfNReport) -> str:
    lines = [
        f"{report.prompts} prompts, {report.answers} answers each or more; gains over an answer "
        "picked blindly.",
        f"{'n':>4} {'KL, nats':>9}  {'proxy':26} gold",
    ]
    for at in report.points:
        lines.append(f"{at.n:4} {at.kl_nats:9.3f}  {said(at.proxy):26} {said(at.gold)}")
    if report.form is not None:
        form = report.form
        lines.append(
            f"gold = d (alpha - beta d), d = sqrt(KL): alpha {said(form.alpha)}, beta "
            f"{said(form.beta)}, highest at KL {said(form.peak_kl_nats)}."
        )
    counted = counted_in_words(report.left_out)
    lines += [f"Left out: {counted}."] if counted else []
    return "\n".join([*lines, *(caveat.text for caveat in report.caveats)])
