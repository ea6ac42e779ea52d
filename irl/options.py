"""The options that commands share."""

from pathlib import Path
from typing import Annotated

import typer

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
