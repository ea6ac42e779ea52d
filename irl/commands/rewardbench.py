"""The command `irl rewardbench`."""

from pathlib import Path
from typing import Annotated

import typer

from irl.options import Json
from irl.records import BenchSubset


def rewardbench(
    reward: Annotated[
        str, typer.Argument(help="A run that stored a reward, or a reward model's directory.")
    ],
    data: Annotated[str, typer.Option(help="RewardBench 1 or 2 data: file or hub id.")],
    out: Annotated[Path, typer.Option(help="Folder for the results.")],
    chat: Annotated[
        str, typer.Option(help="auto, always or never: use the chat template?")
    ] = "auto",
    as_json: Json = False,
) -> None:
    """Score a reward on RewardBench data, with ties and intervals; write its result files."""
    from irl.config import ScoreSettings
    from irl.jobs.reward_bench import reward_bench

    checked = ScoreSettings.checked({"aligned": reward, "chat": chat})
    report = reward_bench(reward, data, out, checked.chat)
    if as_json:
        typer.echo(report.model_dump_json(indent=1))
        return
    for row in [
        *([report.score] if report.score else []),
        report.overall,
        *report.sections,
        *report.subsets,
    ]:
        typer.echo(_line(row))
    if report.ties_score is not None and report.ties_score.score is not None:
        typer.echo(f"{'Ties (score)':26} {report.ties_score.score:.3f}")
    if report.refused_rows:
        typer.echo(f"{report.refused_rows} rows cannot be used and are left out.", err=True)
    if report.benchmark is None:
        typer.echo(
            "The subsets are not those of RewardBench 1 or 2, so .eval_results is not written.",
            err=True,
        )
    if report.ties_score is not None and report.ties_score.without_a_partner:
        typer.echo(
            f"{report.ties_score.without_a_partner} rows of the subset Ties have no id `tied:K` or "
            "`ref:K` with the other one beside it, and count nowhere.",
            err=True,
        )
    typer.echo(f"Results: {out / 'results'}")


def _line(row: BenchSubset) -> str:
    at = row.accuracy
    said = "-" if at is None else f"{at:.3f}, n {at.n}"
    return f"{row.name:26} {said}, {row.ties} ties"
