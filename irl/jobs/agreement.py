"""Hold the log-ratio and a recovered reward against given labels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from irl.bootstrap import codes
from irl.config import ScoreSettings
from irl.data import LabelledResponse, RefusedRow, Table, read_preferences
from irl.engine.engine import HERE, Engine
from irl.engine.local import Workshop, score_pair, sums
from irl.engine.shards import Progress
from irl.errors import InputError
from irl.evaluation.accuracy import Labels, accuracy
from irl.jobs.encoding import encode_rows, log_refused, within
from irl.policies.pair import PolicyPair
from irl.policies.template import as_chat, encode_response
from irl.records import Accuracy
from irl.rewards.conditions import TypedPrompt
from irl.rewards.stored import Reward
from irl.rewards.terms import TermReward
from irl.runs import RunFolder
from irl.tensors import TokenSequence


@dataclass(frozen=True)
class Agreement:
    """Accuracy of both scorers on every source of labels."""

    rows: list[Accuracy]
    refused: list[RefusedRow]
    kept: list[list[LabelledResponse]]
    "of each source, the rows that could be scored"
    untyped: int = 0
    "labelled rows without a prompt type, where the reward asks for one"


def read_labels(sources: Sequence[str]) -> list[Table[LabelledResponse]]:
    """Every source of labels; their file names must differ, since the report names them so."""
    refuse_same_names(sources)
    return [read_preferences(source) for source in sources]


def refuse_same_names(sources: Sequence[str]) -> None:
    """Reports name sources by their files' names.

    Raises:
        InputError: two have the same.
    """
    names = [Path(source).name for source in sources]
    if len(set(names)) < len(names):
        raise InputError(f"Two --preferences files have the same name ({', '.join(names)}).")


def agreement(
    run: RunFolder,
    pair: PolicyPair,
    reward: Reward,
    tables: Sequence[Table[LabelledResponse]],
    settings: ScoreSettings,
    progress: Progress,
    engine: Engine = HERE,
) -> Agreement:
    """Score all labelled responses under both policies and by the recovered reward."""
    rows: list[Accuracy] = []
    refused: list[RefusedRow] = []
    usable: list[list[LabelledResponse]] = []
    untyped = 0
    for number, table in enumerate(tables):
        kept, sequences, left_out = encode_rows(table.rows, _encoder(pair, settings), table.source)
        left_out = [*table.refused, *left_out]
        log_refused(run, table.source, left_out)
        refused += left_out
        work = Workshop(run.parts, settings.sampling, settings.seed, progress, engine)
        scored = score_pair(pair, sequences, work, f"preferences{number}")
        scores = {
            "log_ratio": sums(scored, "aligned_nats") - sums(scored, "reference_nats"),
            "recovered": recovered_scores(reward, kept),
        }
        lengths = [len(sequence.response_ids) for sequence in sequences]
        labels = labels_of(Path(table.source).name, kept, lengths)
        rows += [accuracy(name, given, labels, settings.seed) for name, given in scores.items()]
        untyped += without_type(reward, kept)
        usable.append(kept)
    return Agreement(rows, refused, usable, untyped)


def recovered_scores(reward: Reward, rows: Sequence[LabelledResponse]) -> NDArray[np.float64]:
    """The recovered reward of labelled responses to their own prompts."""
    texts = [row.response for row in rows]
    if not isinstance(reward, TermReward):
        return reward(texts, [row.prompt for row in rows]).numpy().astype(np.float64)
    prompts = [TypedPrompt.of(row.prompt, row.prompt_type) for row in rows]
    scores: NDArray[np.float64] = reward(texts, prompts).numpy()
    return scores


def without_type(reward: Reward, rows: Sequence[LabelledResponse]) -> int:
    """How many rows lack the prompt type that the reward asks for."""
    if not isinstance(reward, TermReward):
        return 0
    if not any(condition.prompt_type for condition in reward.conditional):
        return 0
    return sum(row.prompt_type is None for row in rows)


def _encoder(
    pair: PolicyPair, settings: ScoreSettings
) -> Callable[[LabelledResponse], TokenSequence]:
    def encode(row: LabelledResponse) -> TokenSequence:
        prompt = as_chat(row.prompt, settings.chat)
        sequence = encode_response(pair.tokenizer, prompt, row.response, pair.eos_ids)
        within(len(sequence), pair.context_tokens)
        return sequence

    return encode


def labels_of(source: str, rows: Sequence[LabelledResponse], lengths: Sequence[int]) -> Labels:
    """The labels of rows as arrays; lengths are in whatever unit the caller counts."""
    pairs = [row.pair_id for row in rows]
    return Labels(
        source=source,
        label=np.array([row.label for row in rows]),
        prompt=codes([row.prompt_id for row in rows]),
        pair=np.where([name is None for name in pairs], -1, codes(pairs)),
        cluster=codes([row.cluster for row in rows]),
        length=np.array(lengths, dtype=np.float64),
    )
