"""The command `irl judge`."""

from pathlib import Path
from typing import Annotated

import typer

from irl.options import Json, Seed
from irl.records.base import counted_in_words, said


def judge(
    judge: Annotated[
        str, typer.Argument(help="A chat model, a reward model, or a run that stored a reward.")
    ],
    out: Annotated[Path, typer.Option(help="The JSONL file of preferences to write.")],
    answers: Annotated[
        str | None, typer.Option(help="Samples: prompt, response; several to a prompt.")
    ] = None,
    preferences: Annotated[
        str | None, typer.Option(help="Pairs whose labels are compared with.")
    ] = None,
    chat: Annotated[str, typer.Option(help="Use the chat template? auto, always, never.")] = "auto",
    seed: Seed = None,
    as_json: Json = False,
) -> None:
    """Let a model or a reward say which answers are better, asked in both orders."""
    from irl.config import ScoreSettings
    from irl.jobs.judging import JudgingSettings
    from irl.jobs.judging import judge as run_judge

    checked = ScoreSettings.checked({"aligned": judge, "chat": chat, "seed": seed or 0})
    settings = JudgingSettings(judge, answers, preferences, checked.chat, checked.seed)
    report = run_judge(settings, out)
    if as_json:
        typer.echo(report.model_dump_json(indent=1))
        return
    typer.echo(f"{report.pairs - report.undecided} preferences from {report.pairs} pairs: {out}")
    typer.echo(
        f"Position bias {said(report.position_bias)}, both orders agree on "
        f"{said(report.consistent)}, agreement with labels {said(report.agreement)}."
    )
    if counted := counted_in_words(report.left_out):
        typer.echo(f"Input: {counted}.")
    for caveat in report.caveats:
        typer.echo(caveat.text)
