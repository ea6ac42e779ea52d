"""The commands `irl export` and `irl serve`."""

from pathlib import Path
from typing import Annotated

import typer

Run = Annotated[str, typer.Argument(help="A run of irl ensemble: path, run id or its beginning.")]


def export(run: Run, to: Annotated[Path, typer.Argument(help="A new or empty folder.")]) -> None:
    """Give an ensemble to others: files for TRL, OpenRLHF, verl; directories for transformers."""
    from irl.jobs.exporting import export as run_export

    written, notes = run_export(run, to)
    for path in written:
        typer.echo(str(path))
    for note in notes:
        typer.echo(note, err=True)


def serve(
    run: Run,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free one.")] = 5000,
) -> None:
    """Answer POST /get_reward as OpenRLHF asks it; to this machine only, until interrupted."""
    from irl.jobs.exporting import server_of

    server = server_of(run, port)
    typer.echo(f"http://{server.server_name}:{server.server_port}/get_reward")
    with server:
        server.serve_forever()
