"""The job `irl aspects`: what declared aspects explain of the log-ratios of a finished run.

No model is needed: the answers and their nats are read from responses.parquet of an audit, a
recovery or a scoring. The result is a run folder of its own.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from explain.aspect_files import STOCK, AspectSet, read_aspects
from explain.aspect_measures import Array, measured
from explain.aspect_prices import Answered, Measured, Priced, price
from explain.aspect_words import aspect_caveats
from explain.exchange import Exchange
from irl.bootstrap import codes
from irl.config import Settings
from irl.data import fold_of, stored_prompt
from irl.errors import InputError, RunError
from irl.records import AspectsReport
from irl.runs import RunFolder, file_sha256, find_run, open_run, read_record, read_run

COLUMNS: Final = (*("response_id", "prompt_id", "prompt", "response", "source", "log_ratio_nats"),)
Readability = Literal["reward", "order", "direction", "unreadable"]


class AspectSettings(Settings):
    """What measuring aspects needs."""

    run: str
    "a finished run: its folder, its id or the beginning of it"
    aspects: str | None = None
    "aspects.yaml; None is the stock set"
    allow_code: bool = False
    "run the Python functions that the file names"
    n_folds: int = Field(5, ge=2, le=20)
    seed: int = Field(0, ge=0)


@dataclass(frozen=True)
class AspectsRun:
    """A finished measurement."""

    run: RunFolder
    report: AspectsReport
    responses: dict[str, str]
    "the texts of the answers that are explained worst; untrusted"
    was_finished: bool


def aspects(
    run: str | Path, *, out: str | Path | None = None, fresh: bool = False, **settings: Any
) -> AspectsReport:
    """Price declared aspects from a script; `settings` are those of `AspectSettings`.

    Raises:
        InputError: the aspects or a setting cannot be used, or the run has no log-ratios.
        RunError: the run is not finished, or the new run folder cannot be written.
    """
    resolved = AspectSettings.read(None, [], {"run": str(run), **settings})
    return run_aspects(resolved, None if out is None else Path(out), fresh=fresh).report


def run_aspects(
    settings: AspectSettings, out: Path | None = None, *, fresh: bool = False
) -> AspectsRun:
    """Measure and price aspects into a run folder; a finished run is returned as it is."""
    declared = declared_aspects(settings.aspects, allow_code=settings.allow_code)
    source = find_run(settings.run)
    if (manifest := read_run(source).manifest) is None:
        raise RunError(f"The run {source} is not finished; repeat its command to finish it.")
    table = _table(source)
    inputs = {
        "responses": file_sha256(source / "responses.parquet"),
        "aspects": declared.sha256,
    }
    run = open_run("aspects", settings.model_dump(mode="json"), inputs, out, fresh=fresh)
    texts = dict(
        zip(*(table[name].to_pylist() for name in ("response_id", "response")), strict=True)
    )
    if was_finished := run.finished:
        report = read_record(run.path / "aspects.json", AspectsReport)
    else:
        answered = _answered(table, settings.n_folds)
        priced, values = price_answers(declared, _exchanges(table), answered, settings.seed)
        report = AspectsReport(
            run_id=run.run_id,
            of_run=manifest.run_id,
            readability=_readability(source),
            aspects=priced.aspects,
            aspects_r2=priced.r2,
            aspect_residuals=priced.residuals,
            caveats=aspect_caveats(priced),
        )
        run.write_table("aspects.parquet", aspects_table(answered.response_ids, declared, values))
        run.write_text("aspects.json", report.to_json())
        run.finish({"responses": len(texts), "aspects": len(declared.aspects)})
    worst = [row.response_id for row in report.aspect_residuals]
    return AspectsRun(run, report, {name: texts[name] for name in worst}, was_finished)


def declared_aspects(file: str | None, *, allow_code: bool) -> AspectSet:
    """The aspects of a file, or the stock set."""
    return read_aspects(STOCK if file is None else Path(file), allow_code=allow_code)


def aspects_table(response_ids: Sequence[str], declared: AspectSet, values: Array) -> pa.Table:
    """aspects.parquet: one row per response, one column per aspect."""
    columns: Mapping[str, Any] = dict(zip(declared.names, values.T, strict=True))
    return pa.table({"response_id": response_ids, **columns})


def _table(run: Path) -> pa.Table:
    try:
        table = pq.read_table(run / "responses.parquet", columns=list(COLUMNS))
    except (OSError, ValueError, KeyError, pa.ArrowException):
        raise InputError(
            f"The run {run} has no responses with log-ratios; give a run of irl audit, recover "
            "(from a pair) or score that kept its responses.parquet."
        ) from None
    sources = set(table["source"].to_pylist())
    if table["log_ratio_nats"].null_count or not {"aligned", "reference"} <= sources:
        raise InputError(
            f"The run {run} lacks log-ratios or the answers of one policy; aspects are priced by "
            "the log-ratios of answers of both."
        )
    return table


def _exchanges(table: pa.Table) -> list[Exchange]:
    names, texts, responses = (
        table[name].to_pylist() for name in ("prompt_id", "prompt", "response")
    )
    prompts = {name: stored_prompt(text, name) for name, text in zip(names, texts, strict=True)}
    return [
        Exchange(prompts[name], response) for name, response in zip(names, responses, strict=True)
    ]


def _answered(table: pa.Table, n_folds: int) -> Answered:
    names = table["prompt_id"].to_pylist()
    return Answered(
        response_ids=table["response_id"].to_pylist(),
        returns=table["log_ratio_nats"].to_numpy(),
        aligned=np.array([source == "aligned" for source in table["source"].to_pylist()]),
        prompt=codes(names),
        fold=np.array([fold_of(name, n_folds) for name in names]),
    )


def _readability(run: Path) -> Readability | None:
    """What the run's own audit says that its log-ratios may be read as, if there is one."""
    try:
        said = json.loads((run / "report.json").read_bytes())["verdict"]["readability"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return cast(Readability, said) if said in get_args(Readability) else None


def price_answers(
    declared: AspectSet, exchanges: Sequence[Exchange], answered: Answered, seed: int
) -> tuple[Priced, Array]:
    """Measure and price; the prices, and the values that they rest on."""
    values = measured(declared.aspects, exchanges)
    return price(Measured(declared.names, declared.units, values), answered, seed), values
