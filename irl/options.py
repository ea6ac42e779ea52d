"""The options that commands share."""

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from irl.engine.reach import refuse_unreachable
from irl.engine.settings import EngineSettings

Aligned = Annotated[
    str | None,
    typer.Option(help="Aligned checkpoint: directory, hub id, PEFT adapter or file of a server."),
]
Reference = Annotated[
    str | None, typer.Option(help="Reference checkpoint; an adapter's base if left out.")
]
Prompts = Annotated[str | None, typer.Option(help="Prompts: JSONL, Parquet, CSV or hub id.")]
PromptLimit = Annotated[int | None, typer.Option(help="Use only the first so many prompts.")]
Preferences = Annotated[
    list[str] | None, typer.Option(help="Labelled responses; may be given several times.")
]
Aspects = Annotated[str | None, typer.Option(help="aspects.yaml; default the stock set.")]
AllowCode = Annotated[
    bool | None,
    typer.Option("--allow-code", help="Run the Python functions that aspects.yaml names."),
]
MethodOption = Annotated[
    str | None,
    typer.Option("--method", help="log-ratio; irl recover also: bradley-terry, max-entropy, ..."),
]
Full = Annotated[
    bool | None,
    typer.Option("--full", help="Also attribution, probes, concepts and answers of one token."),
]
Seed = Annotated[int | None, typer.Option(help="Seed of sampling and bootstrap.")]
Out = Annotated[Path | None, typer.Option(help="The run folder; default artifacts/runs/<run_id>.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Repeat a run from the start.")]
Config = Annotated[Path | None, typer.Option(help="YAML file of settings; flags win.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="One setting, a.b=c; repeatable.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def with_engine(command: Callable[..., None]) -> Callable[..., None]:
    """A command with the flags that say who does the work; it is given them as `where`."""

    @wraps(command)
    def run(**given: Any) -> None:
        told = {name: given.pop(name) for name in _FLAGS}
        told = {name: value for name, value in told.items() if value is not None}
        where = EngineSettings.checked(told)
        refuse_unreachable(where)  # before models and libraries are loaded
        command(**given, where=where)

    own = inspect.signature(command)
    kept = [one for name, one in own.parameters.items() if name != "where"]
    run.__signature__ = own.replace(parameters=[*kept, *_FLAGS.values()])  # type: ignore[attr-defined]
    return run


def _flags(
    engine: Annotated[
        str | None, typer.Option(help="Who does the work: local, or ray (an extra).")
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(help="Of the Ray cluster: HOST:PORT or auto; else one on this machine."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Ray: processes that work; else as many as fit.")
    ] = None,
    cpus_per_worker: Annotated[
        float | None, typer.Option(help="Ray: CPUs that each takes; else one a thread.")
    ] = None,
    gpus_per_worker: Annotated[
        float | None, typer.Option(help="Ray: GPUs that each takes; else none.")
    ] = None,
    threads_per_worker: Annotated[
        int | None, typer.Option(help="Ray: threads of each; else as many as here.")
    ] = None,
) -> None:
    """The flags; never called."""


_FLAGS = inspect.signature(_flags).parameters
