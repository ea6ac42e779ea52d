"""The command `irl`: parse, build settings, call one job, print. The one composition root.

Exit codes: 0 done and within the gate, 1 findings over the gate, 2 input or usage error.
"""

import gc
import json
import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from explain import commands
from irl.commands import COMMANDS
from irl.engine.settings import EngineSettings
from irl.errors import InputError, IrlError
from irl.jobs.terminal import interrupted, nothing_done, progress
from irl.options import (
    Aligned,
    AllowCode,
    Aspects,
    Config,
    Fresh,
    Full,
    Json,
    MethodOption,
    Out,
    Preferences,
    Prompts,
    Reference,
    Seed,
    Set,
    with_engine,
)

_RARE_COLLECTIONS = (100_000, 50, 100)
"By default a tenth of the start goes into looking for garbage in libraries that are loaded to stay"

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Recover and explain the reward that an aligned language model learned to follow.",
)
organisms_app = typer.Typer(no_args_is_help=True, help="Pairs whose truth is known.")
runs_app = typer.Typer(no_args_is_help=True, help="List, show and export runs.")
app.add_typer(organisms_app, name="organisms")
app.add_typer(runs_app, name="runs")
for command in (*commands.COMMANDS, *COMMANDS):
    app.command(hidden=command in commands.HIDDEN)(command)


@app.command()
@with_engine
def audit(
    aligned: Aligned = None,
    reference: Reference = None,
    prompts: Prompts = None,
    preferences: Preferences = None,
    aspects: Aspects = None,
    allow_code: AllowCode = None,
    gate: Annotated[
        str | None, typer.Option(help="YAML file of limits; over them: exit 1.")
    ] = None,
    method: MethodOption = None,
    trained_with: Annotated[
        str | None, typer.Option(help="rloo, grpo, ppo, dpo, ipo, kto, sft or unknown.")
    ] = None,
    full: Full = None,
    seed: Seed = None,
    out: Out = None,
    fresh: Fresh = False,
    config: Config = None,
    set_: Set = None,
    as_json: Json = False,
    *,
    where: EngineSettings,
) -> None:
    """Audit a pair; without arguments, the bundled pair on real text."""
    from irl.config import AuditSettings
    from irl.data.bundled import bundled_pair

    flags: dict[str, Any] = {
        "aligned": aligned,
        "reference": reference,
        "prompts": prompts,
        "preferences": preferences or None,
        "aspects": aspects,
        "allow_code": allow_code,
        "gate": gate,
        "method": method,
        "trained_with": trained_with,
        "full": full,
        "seed": seed,
    }
    if aligned is None and config is None:
        flags = bundled_pair() | {key: value for key, value in flags.items() if value is not None}
    settings = AuditSettings.read(config, set_ or [], flags)
    from explain.jobs.audit import run_audit
    from explain.summary import summary
    from irl.engine.ray_cluster import engine_of

    with engine_of(where) as engine:
        done = run_audit(settings, out, fresh=fresh, progress=progress(), engine=engine)
    if done.was_finished:
        nothing_done(done.run.path)
    typer.echo(done.report.to_json() if as_json else summary(done.report))
    if not as_json:
        typer.echo(f"Report: {done.run.path / 'report.html'}")
    if not all(row.passed for row in done.report.gate):
        raise typer.Exit(1)


@app.command()
def doctor(
    aligned: Annotated[str, typer.Argument(help="Aligned checkpoint.")],
    reference: Annotated[str | None, typer.Argument(help="Reference checkpoint.")] = None,
    config: Config = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Check that a pair can be audited, and print its noise floor; exit 2 if it cannot."""
    from irl.config import ScoreSettings

    flags = {"aligned": aligned, "reference": reference}
    settings = ScoreSettings.read(config, set_ or [], flags)
    from irl.jobs.doctor import run_doctor

    checks = run_doctor(settings)
    if as_json:
        typer.echo(json.dumps([check.model_dump() for check in checks], indent=1))
    else:
        for check in checks:
            typer.echo(f"{check.status:8} {check.name:17} {check.text}")
    failed = [check.name for check in checks if check.status == "failed"]
    if failed:
        raise InputError(f"This pair cannot be audited: {', '.join(failed)} failed.")


@organisms_app.command("list")
def organisms_list() -> None:
    """Name the organisms that can be built."""
    from irl.jobs.organisms import organisms

    for name, about in organisms().items():
        typer.echo(f"{name:18} {about}")


@organisms_app.command("build")
@with_engine
def organisms_build(
    name: Annotated[
        str | None, typer.Argument(help="Which; `irl organisms list` names them.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="All of the language world; resumes where it stopped.")
    ] = False,
    text: Annotated[
        Path | None, typer.Option(help="Folder of the Parquet text that the real pairs learn from.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of words, data, training and sampling.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Where; default artifacts/models, other seeds in runs.")
    ] = None,
    *,
    where: EngineSettings,
) -> None:
    """Build an organism: train its reference and align it. Finished stages are reused.

    With --all, an engine of several workers builds several at once.
    """
    from irl.engine.ray_cluster import engine_of
    from irl.jobs.organisms import build, build_all

    if (name is None) == (not every):
        raise InputError("Name one organism, or give --all; `irl organisms list` names them.")
    with engine_of(where) as engine:
        built = build_all(seed, out, engine) if name is None else [build(name, text, seed, out)]
    for folder in built:
        typer.echo(folder)


@runs_app.command("list")
def runs_list(root: Annotated[Path | None, typer.Option(help="Where runs lie.")] = None) -> None:
    """List runs, newest first."""
    from irl.runs import RUNS, list_runs

    for run in list_runs(root or RUNS):
        created = run.manifest.created if run.manifest else ""
        typer.echo(f"{run.path.name:32} {run.state:10} {created}")


@runs_app.command("show")
def runs_show(run: Annotated[str, typer.Argument(help="Path, run id or its beginning.")]) -> None:
    """Show a run: its summary if it is an audit, else its manifest."""
    from explain.shown import shown
    from irl.runs import find_run

    typer.echo(shown(find_run(run)))


@runs_app.command("export")
def runs_export(
    run: Annotated[str, typer.Argument(help="Path, run id or its beginning.")],
    to: Annotated[Path, typer.Argument(help="A .csv, .jsonl, .parquet or .html file to write.")],
) -> None:
    """Export the responses of a run as a table, or its report as an HTML page."""
    from irl.runs import export_responses, find_run, write_text

    found = find_run(run)
    if to.suffix == ".html":
        from explain.report import render_run

        write_text(to, render_run(found))
    else:
        export_responses(found, to)
    typer.echo(str(to))


@runs_app.command("examples", hidden=True)
def runs_examples() -> None:
    """Make the tracked example runs again."""
    from explain.jobs.examples import make_examples

    typer.echo(str(make_examples(progress=progress())))


@runs_app.command("schema")
def runs_schema() -> None:
    """Print the JSON schema of report.json."""
    from irl.records import AuditReport

    typer.echo(json.dumps(AuditReport.model_json_schema(mode="serialization"), indent=1))


@app.command()
def results(
    name: Annotated[str, typer.Argument(help="A recipe: docs/recipes/NAME.yaml.")],
    text: Annotated[
        Path | None, typer.Option(help="Folder of the Parquet text that the recipe needs.")
    ] = None,
) -> None:
    """Make a results table: docs/results/NAME.json and NAME.md from docs/recipes/NAME.yaml."""
    from explain.jobs.results import make_results

    typer.echo(make_results(name, text, progress=progress()))


@app.command()
def dashboard(
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port; default the first free from 8501.")
    ] = None,
    runs: Annotated[
        Path | None, typer.Option(help="Where runs lie; default artifacts/runs and the examples.")
    ] = None,
    headless: Annotated[bool, typer.Option("--headless", help="Open no browser.")] = False,
) -> None:
    """Look at runs in a browser; served to this machine only, until interrupted."""
    from dashboard.__main__ import serve

    serve(port, runs, headless=headless)


@contextmanager
def _sentences() -> Iterator[None]:
    """Turn refusals into one sentence on stderr and exit code 2."""
    try:
        yield
    except IrlError as error:
        typer.echo(f"irl: {' '.join(str(error).split())}", err=True)
        sys.exit(2)
    except TyperException as error:  # empty where no arguments were given: help has been shown
        if text := " ".join(error.format_message().split()):
            typer.echo(f"irl: {text}", err=True)
        sys.exit(2)


def main() -> None:
    """Entry point of the console script."""
    logging.basicConfig(level=logging.WARNING, format="irl: %(message)s", stream=sys.stderr)
    signal.signal(signal.SIGINT, interrupted)
    gc.set_threshold(*_RARE_COLLECTIONS)
    with _sentences():
        sys.exit(app(standalone_mode=False))


if __name__ == "__main__":
    main()
