"""The command `irl audits`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from irl.engine.settings import EngineSettings
from irl.errors import InputError
from irl.options import Fresh, Json, with_engine


@with_engine
def audits(
    file: Annotated[
        Path, typer.Argument(help="JSONL: the settings of one audit a line, maybe with a name.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the runs; default artifacts/runs, as FILE-NAME."),
    ] = None,
    fresh: Fresh = False,
    as_json: Json = False,
    *,
    where: EngineSettings,
) -> None:
    """Carry out many audits; finished ones are passed over, and one that fails stops no other.

    Exit 2 if one failed, else 1 if one is over its gate.
    """
    from explain.jobs.many_audits import run_audits, told
    from irl.engine.ray_cluster import engine_of

    with engine_of(where) as engine:
        outcomes = run_audits(file, out, fresh=fresh, engine=engine)
    if as_json:
        typer.echo(json.dumps([one.model_dump() for one in outcomes], indent=1))
    else:
        typer.echo(told(outcomes))
    if failed := [one.name for one in outcomes if one.state == "failed"]:
        raise InputError(f"{len(failed)} of {len(outcomes)} audits failed: {', '.join(failed)}.")
    if not all(one.passed for one in outcomes):
        raise typer.Exit(1)
