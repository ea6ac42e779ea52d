"""The job `irl score`: sample from a pair, score under both, write the run folder."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from irl.config import ScoreSettings
from irl.data import LabelledResponse, PromptRow, RefusedRow, Table, read_prompts
from irl.engine.engine import HERE, Engine
from irl.engine.local import Workshop, sample_pair, score_pair
from irl.engine.scoring import scoring_facts
from irl.engine.shards import Progress, silent
from irl.errors import InputError
from irl.jobs.answers import Answers, Recovered, collect, responses_table, tokens_table
from irl.jobs.clock import Clock
from irl.jobs.encoding import encode_prompts, log_refused
from irl.policies.pair import PolicyPair, load_pair
from irl.policies.quiet import quiet_libraries
from irl.runs import RunFolder, open_run
from irl.tensors import TokenSequence

_LOG = logging.getLogger("irl")


@dataclass(frozen=True)
class Sampled:
    """What a pair answered, and what was left out on the way."""

    answers: Answers
    refused: list[RefusedRow]
    counts: dict[str, int]


def score(
    settings: ScoreSettings,
    out: Path | None = None,
    *,
    fresh: bool = False,
    progress: Progress = silent,
    engine: Engine = HERE,
) -> RunFolder:
    """Sample and score a pair into a run folder; a finished run is returned as it is.

    Who works (`engine`) is no part of what the run is.

    Raises:
        InputError: the prompts or settings cannot be used.
        PolicyError: the pair cannot be scored.
        RunError: the run folder cannot be written or holds another run.
    """
    quiet_libraries()
    rows = prompts_of(settings)
    pair = load_pair(
        settings.aligned, settings.reference, settings.loading, weights=engine.models_here
    )
    inputs = input_hashes(pair, rows)
    run = open_run("score", settings.model_dump(mode="json"), inputs, out, fresh=fresh)
    if run.finished:
        say_finished(run)
        return run
    sampled = sample_and_score(run, pair, rows, settings, Clock(), progress, engine)
    write_tables(run, sampled.answers, None)
    run.finish(sampled.counts)
    return run


def say_finished(run: RunFolder) -> None:
    """Say that nothing is done."""
    _LOG.warning("The run in %s is finished; --fresh repeats it.", run.path)


def input_hashes(
    pair: PolicyPair,
    prompts: Table[PromptRow],
    labels: Sequence[Table[LabelledResponse]] = (),
) -> dict[str, str]:
    """The hashes of everything that a run reads."""
    return {
        "aligned": pair.aligned.checkpoint.sha256,
        "reference": pair.reference.checkpoint.sha256,
        "prompts": prompts.sha256,
        **{table.source: table.sha256 for table in labels},
    }


def prompts_of(settings: ScoreSettings) -> Table[PromptRow]:
    """The prompts that the settings name."""
    if settings.prompts is None:
        raise InputError(
            "No prompts were given; pass --prompts FILE with a column `prompt` (JSONL, Parquet, "
            "CSV or a hub dataset id)."
        )
    return read_prompts(settings.prompts)


@dataclass(frozen=True)
class Asked:
    """The prompts that a pair can read."""

    rows: list[PromptRow]
    encoded: list[tuple[int, ...]]
    refused: list[RefusedRow]


def asked_of(
    run: RunFolder, pair: PolicyPair, table: Table[PromptRow], settings: ScoreSettings
) -> Asked:
    """Encode the prompts; what cannot be read, or leaves no room for an answer, is refused.

    Raises:
        InputError: nothing is left.
    """
    room = pair.context_tokens - settings.sampling.max_new_tokens
    asked = table.rows[: settings.prompt_limit]
    rows, encoded, refused = encode_prompts(
        asked, pair.tokenizer, room, settings.chat, table.source
    )
    refused = [*table.refused, *refused]
    log_refused(run, table.source, refused)
    return Asked(rows, encoded, refused)


def scored_answers(pair: PolicyPair, asked: Asked, drawn: pa.Table, work: Workshop) -> Answers:
    """Score drawn answers under both policies, in the order of the prompts."""
    drawn = drawn.sort_by([("prompt", "ascending")])
    columns = drawn["prompt"].to_pylist(), drawn["token_ids"].to_pylist()
    sequences = [
        TokenSequence(asked.encoded[at], tuple(ids)) for at, ids in zip(*columns, strict=True)
    ]
    return collect(pair, asked.rows, drawn, score_pair(pair, sequences, work))


def sample_and_score(
    run: RunFolder,
    pair: PolicyPair,
    table: Table[PromptRow],
    settings: ScoreSettings,
    clock: Clock,
    progress: Progress,
    engine: Engine = HERE,
) -> Sampled:
    """Sample K answers per prompt and side, and score each under both."""
    asked = asked_of(run, pair, table, settings)
    work = Workshop(run.parts, settings.sampling, settings.seed, progress, engine)
    with clock.stage("sampling"):
        drawn = sample_pair(pair, asked.encoded, work)
    with clock.stage("scoring"):
        answers = scored_answers(pair, asked, drawn, work)
    run.log("scored", **scoring_facts(aligned=pair.aligned, reference=pair.reference))
    return Sampled(answers, asked.refused, answer_counts(answers, pair, asked.refused))


def write_tables(
    run: RunFolder,
    answers: Answers,
    recovered: Recovered | None,
    true_nats: NDArray[np.float64] | None = None,
) -> None:
    """responses.parquet and tokens.parquet; the reward columns are null before recovery."""
    run.write_table("responses.parquet", responses_table(answers, recovered, true_nats))
    run.write_table("tokens.parquet", tokens_table(answers, recovered))


def answer_counts(answers: Answers, pair: PolicyPair, refused: list[RefusedRow]) -> dict[str, int]:
    """What a manifest counts."""
    cut = sum(not ids or ids[-1] not in pair.eos_ids for ids in answers.token_ids)
    return {
        "prompts": len(answers.prompts),
        "responses": len(answers.texts),
        "truncated_responses": cut,
        "refused_rows": len(refused),
    }
