"""Sample from a pair and score under both, in shards; the engine of a workshop does the work.

What is done to a part is a record, so that an engine can send it to another process.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from irl.config import Sampling
from irl.engine.engine import HERE, Engine
from irl.engine.scoring import score_policy
from irl.engine.shards import Progress, Shards, silent, slices
from irl.engine.sides import Side, of_both
from irl.policies.pair import PolicyPair
from irl.policies.policy import Policy
from irl.policies.sample import Ids, sample
from irl.policies.served.policy import ServedPolicy
from irl.tensors import TokenSequence

RESPONSES_PER_SHARD = 2048


@dataclass(frozen=True)
class Workshop:
    """Where and how a run works: its shard folder, settings, seed, progress report and engine."""

    folder: Path
    sampling: Sampling
    seed: int
    progress: Progress = silent
    engine: Engine = HERE

    def shards(self, name: str, made_with: Mapping[str, object]) -> Shards:
        """The shards of one kind of work, named after all that they depend on."""
        settings = {"sampling": self.sampling.model_dump(), "seed": self.seed}
        return Shards(self.folder, name, settings | dict(made_with))


def sample_pair(pair: PolicyPair, prompts: Sequence[Ids], work: Workshop) -> pa.Table:
    """K responses per prompt from both policies; see `sample_side`."""
    drawn = of_both(pair, lambda side, _: sample_side(pair, side, prompts, work))
    return pa.concat_tables(drawn.values())


def sample_side(pair: PolicyPair, source: Side, prompts: Sequence[Ids], work: Workshop) -> pa.Table:
    """K responses per prompt from one policy of a pair.

    Returns:
        Columns prompt (index into `prompts`), source (aligned or reference), token_ids.
        Each shard has its own generator, so an interrupted run ends with the same responses.
    """
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    sha256 = getattr(pair, source).checkpoint.sha256
    shards = work.shards(f"sampled-{source}", {"prompts": _digest(prompts), source: sha256})
    parts = slices(order, work.sampling.prompts_per_shard)
    draw = Draw(source, dict(enumerate(prompts)), work.sampling, work.seed)
    return pa.concat_tables(work.engine.each_part(pair, shards, parts, draw, work.progress))


def score_pair(
    pair: PolicyPair, sequences: Sequence[TokenSequence], work: Workshop, name: str = "scored"
) -> pa.Table:
    """Nats per response token of each sequence under both policies, in the order given.

    Returns:
        List columns aligned_nats and reference_nats.
    """
    return pa.concat_tables(
        score_parts(pair, slices(sequences, RESPONSES_PER_SHARD), work, name),
    )


def score_parts(
    pair: PolicyPair,
    parts: Sequence[Sequence[TokenSequence]],
    work: Workshop,
    name: str = "scored",
) -> Iterator[pa.Table]:
    """The same, a shard at a time: both policies read a part before the next one is taken."""
    sides = {"aligned": pair.aligned, "reference": pair.reference}
    made_with = {side: policy.checkpoint.sha256 for side, policy in sides.items()}
    shards, score = work.shards(name, made_with), Score(work.sampling)
    return work.engine.each_part(pair, shards, parts, score, work.progress)


@dataclass(frozen=True)
class Draw:
    """Draw K responses to each prompt of a part, a part being places in `prompts`."""

    source: Side
    prompts: Mapping[int, Ids]
    sampling: Sampling
    seed: int

    def at(self, part: Sequence[int]) -> "Draw":
        """The same with no other prompts than those of a part."""
        return replace(self, prompts={index: self.prompts[index] for index in part})

    def __call__(self, pair: PolicyPair, shard: int, part: Sequence[int]) -> pa.Table:
        """Columns prompt, source and token_ids."""
        policy = pair.aligned if self.source == "aligned" else pair.reference
        rows = [index for index in part for _ in range(self.sampling.responses_per_prompt)]
        generator = _generator(self.seed, self.source, shard)
        wanted = [self.prompts[row] for row in rows]
        answers = draw_answers(policy, wanted, generator, pair.eos_ids, self.sampling)
        columns = {"prompt": rows, "source": [self.source] * len(rows), "token_ids": answers}
        return pa.table(columns, schema=_SAMPLED)


@dataclass(frozen=True)
class Score:
    """Score the sequences of a part under both policies."""

    sampling: Sampling

    def at(self, _: Sequence[TokenSequence]) -> "Score":
        """Scoring needs nothing beside the part."""
        return self

    def __call__(self, pair: PolicyPair, _: int, part: Sequence[TokenSequence]) -> pa.Table:
        """List columns aligned_nats and reference_nats."""
        nats = of_both(pair, lambda _, policy: score_policy(policy, part, self.sampling))
        columns = {f"{side}_nats": [row.numpy() for row in rows] for side, rows in nats.items()}
        return pa.table(columns, schema=_SCORED)


def sums(table: pa.Table, column: str) -> NDArray[np.float64]:
    """The float64 sum of each row's list."""
    return np.array([np.sum(row, dtype=np.float64) for row in table[column].to_numpy()])


_SAMPLED = pa.schema(
    [("prompt", pa.int64()), ("source", pa.string()), ("token_ids", pa.list_(pa.int32()))]
)
_SCORED = pa.schema(
    [("aligned_nats", pa.list_(pa.float32())), ("reference_nats", pa.list_(pa.float32()))]
)


def draw_answers(
    policy: Policy,
    prompts: Sequence[Ids],
    generator: torch.Generator,
    eos_ids: frozenset[int],
    sampling: Sampling,
) -> list[Ids]:
    """One answer per prompt, in the order given; long prompts are answered first."""
    if isinstance(policy, ServedPolicy):
        return policy.answers(
            prompts,
            generator,
            max_new_tokens=sampling.max_new_tokens,
            temperature=sampling.temperature,
            eos_ids=eos_ids,
        )
    order = sorted(range(len(prompts)), key=lambda index: -len(prompts[index]))
    drawn = sample(
        policy,
        [prompts[index] for index in order],
        generator,
        max_new_tokens=sampling.max_new_tokens,
        temperature=sampling.temperature,
        eos_ids=eos_ids,
        token_budget=sampling.token_budget,
    )
    answers: list[Ids] = [()] * len(prompts)
    for index, answer in zip(order, drawn, strict=True):
        answers[index] = answer
    return answers


def _digest(prompts: Sequence[Ids]) -> str:
    return hashlib.sha256(repr(list(prompts)).encode()).hexdigest()


def _generator(seed: int, source: str, shard: int) -> torch.Generator:
    digest = hashlib.sha256(f"{seed}/{source}/{shard}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
