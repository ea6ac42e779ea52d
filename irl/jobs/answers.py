"""Answers of both policies with their nats, and the two tables that every run writes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from irl.data import Prompt, PromptRow, fold_of
from irl.policies.pair import PolicyPair
from irl.policies.pieces import Pieces, response_text
from irl.rewards.conditions import TypedPrompt

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Answers:
    """Sampled responses in the order of the prompts; lists have one entry per response."""

    prompts: list[Prompt]
    "the distinct prompts"
    prompt_ids: list[str]
    prompt_types: list[str | None]
    prompt: NDArray[np.int64]
    "prompt number of each response"
    source: list[str]
    texts: list[str]
    token_ids: list[list[int]]
    pieces: list[list[str]]
    "the text of each token; special tokens by name"
    special_ids: frozenset[int]
    "tokens that are no text"
    aligned_nats: list[Array]
    reference_nats: list[Array]

    @cached_property
    def aligned(self) -> NDArray[np.bool_]:
        """True where the aligned policy wrote the response."""
        return np.array([source == "aligned" for source in self.source], dtype=bool)

    @cached_property
    def log_ratios(self) -> list[Array]:
        """Log-ratio of each token, nats (value gained)."""
        pairs = zip(self.aligned_nats, self.reference_nats, strict=True)
        return [ours - theirs for ours, theirs in pairs]

    @cached_property
    def returns(self) -> Array:
        """Summed log-ratio of each response, nats."""
        return np.array([row.sum() for row in self.log_ratios])

    @cached_property
    def visible(self) -> list[list[str]]:
        """The pieces, with "" for special tokens."""
        return [
            ["" if token in self.special_ids else piece for token, piece in zip(*row, strict=True)]
            for row in zip(self.token_ids, self.pieces, strict=True)
        ]

    @cached_property
    def asked(self) -> list[TypedPrompt]:
        """The distinct prompts, as conditions look at them."""
        pairs = zip(self.prompts, self.prompt_types, strict=True)
        return [TypedPrompt.of(prompt, kind) for prompt, kind in pairs]

    @cached_property
    def asked_of(self) -> list[TypedPrompt]:
        """The prompt of each response, as conditions look at it."""
        return [self.asked[at] for at in self.prompt]

    @cached_property
    def response_ids(self) -> list[str]:
        """The name of each response: its prompt, its source, and a number."""
        seen: dict[tuple[int, str], int] = {}
        names = []
        for number, source in zip(self.prompt.tolist(), self.source, strict=True):
            at = seen[number, source] = seen.get((number, source), -1) + 1
            names.append(f"{self.prompt_ids[number]}-{source[0]}{at}")
        return names

    def fold(self, n_folds: int) -> NDArray[np.int64]:
        """The fold of each response: a hash of its prompt, so that a prompt is never split."""
        return np.array([fold_of(name, n_folds) for name in self.prompt_ids])[self.prompt]


@dataclass(frozen=True)
class Recovered:
    """A recovered reward of each answer, centred within the prompt, nats."""

    reward: Array
    low: Array
    high: Array
    fold: NDArray[np.int64]
    paid_for: list[list[float]]


def collect(
    pair: PolicyPair, rows: Sequence[PromptRow], sampled: pa.Table, scored: pa.Table
) -> Answers:
    """Bring sampled tokens and their nats together."""
    tokenizer, pieces = pair.tokenizer, Pieces(pair.tokenizer)
    token_ids = sampled["token_ids"].to_pylist()
    return Answers(
        prompts=[row.prompt for row in rows],
        prompt_ids=[row.prompt_id for row in rows],
        prompt_types=[row.prompt_type for row in rows],
        prompt=sampled["prompt"].to_numpy(),
        source=sampled["source"].to_pylist(),
        texts=[response_text(tokenizer, ids) for ids in token_ids],
        token_ids=token_ids,
        pieces=[pieces(ids) for ids in token_ids],
        special_ids=frozenset(pieces.special_ids),
        aligned_nats=_arrays(scored["aligned_nats"]),
        reference_nats=_arrays(scored["reference_nats"]),
    )


def responses_table(
    answers: Answers, recovered: Recovered | None, true_nats: Array | None = None
) -> pa.Table:
    """responses.parquet: one row per response; reward columns are null before recovery.

    `prompt_type` is null where prompts name none, `true_nats` (the true reward over beta) where it
    is not known.
    """
    ours = np.array([row.sum() for row in answers.aligned_nats])
    theirs = np.array([row.sum() for row in answers.reference_nats])
    missing = [None] * len(answers.texts)
    return pa.table(
        {
            "response_id": answers.response_ids,
            "prompt_id": [answers.prompt_ids[at] for at in answers.prompt],
            "prompt": [_shown(answers.prompts[at]) for at in answers.prompt],
            "response": answers.texts,
            "source": answers.source,
            "n_tokens": [len(ids) for ids in answers.token_ids],
            "aligned_nats": ours,
            "reference_nats": theirs,
            "log_ratio_nats": answers.returns,
            "reward_nats": missing if recovered is None else recovered.reward,
            "reward_low_nats": missing if recovered is None else recovered.low,
            "reward_high_nats": missing if recovered is None else recovered.high,
            "fold": missing if recovered is None else recovered.fold,
            "prompt_type": [answers.prompt_types[at] for at in answers.prompt],
            "true_nats": missing if true_nats is None else true_nats,
        },
        schema=RESPONSES,
    )


def tokens_table(answers: Answers, recovered: Recovered | None) -> pa.Table:
    """tokens.parquet: one row per response, list columns of one entry per token."""
    return pa.table(
        {
            "response_id": answers.response_ids,
            "token_ids": answers.token_ids,
            "tokens": answers.pieces,
            "aligned_nats": answers.aligned_nats,
            "reference_nats": answers.reference_nats,
            "log_ratio_nats": answers.log_ratios,
            "paid_for_nats": [None] * len(answers.texts)
            if recovered is None
            else recovered.paid_for,
        },
        schema=TOKENS,
    )


_f32, _f64 = pa.float32(), pa.float64()
RESPONSES = pa.schema(
    [(name, pa.string()) for name in ("response_id", "prompt_id", "prompt", "response", "source")]
    + [("n_tokens", pa.int32())]
    + [(name, _f64) for name in ("aligned_nats", "reference_nats", "log_ratio_nats")]
    + [(name, _f64) for name in ("reward_nats", "reward_low_nats", "reward_high_nats")]
    + [("fold", pa.int32()), ("prompt_type", pa.string()), ("true_nats", _f64)],
    metadata={"schema": "irl.responses/1"},
)
TOKENS = pa.schema(
    [
        ("response_id", pa.string()),
        ("token_ids", pa.list_(pa.int32())),
        ("tokens", pa.list_(pa.string())),
    ]
    + [(f"{side}_nats", pa.list_(_f32)) for side in ("aligned", "reference", "log_ratio")]
    + [("paid_for_nats", pa.list_(_f32))],
    metadata={"schema": "irl.tokens/1"},
)


def _arrays(column: pa.ChunkedArray) -> list[Array]:
    return [np.asarray(row, dtype=np.float64) for row in column.to_numpy()]


def _shown(prompt: Prompt) -> str:
    if isinstance(prompt, str):
        return prompt
    return json.dumps(list(prompt), ensure_ascii=False)
