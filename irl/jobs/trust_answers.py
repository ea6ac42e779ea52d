"""The answers that are asked about, and the data policy's to the same prompts, with nats."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from irl.config import Sampling
from irl.data import PromptRow, RefusedRow, SampleRow, prompt_id, read_prompts, read_samples
from irl.engine.local import draw_answers
from irl.jobs.encoding import encode_prompts, encode_rows, within
from irl.jobs.trust_grounds import Grounds
from irl.jobs.trust_policies import Policies
from irl.jobs.trust_settings import TrustSettings
from irl.policies.pieces import response_text
from irl.policies.policy import Policy
from irl.policies.template import PromptText, as_chat, encode_answers, encode_response
from irl.rewards.conditions import TypedPrompt
from irl.tensors import TokenSequence

Array = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Answers:
    """Answers to numbered prompts, in their order, with the log-probabilities of both policies."""

    prompt: Codes
    texts: list[str]
    asked: list[PromptText]
    sequences: list[TokenSequence]
    data_nats: Array
    policy_nats: Array | None

    @cached_property
    def log_ratio(self) -> Array | None:
        """Log-probability under the policy less that under the data's, nats."""
        if self.policy_nats is None:
            return None
        result: Array = self.policy_nats - self.data_nats
        return result

    @cached_property
    def data_nats_per_token(self) -> Array:
        """Under the data's policy."""
        lengths = [max(len(one.response_ids), 1) for one in self.sequences]
        result: Array = self.data_nats / np.array(lengths)
        return result

    def at(self, which: NDArray[np.bool_]) -> "Answers":
        """Some of them."""
        here = np.flatnonzero(which)
        return Answers(
            self.prompt[here],
            [self.texts[one] for one in here],
            [self.asked[one] for one in here],
            [self.sequences[one] for one in here],
            self.data_nats[here],
            None if self.policy_nats is None else self.policy_nats[here],
        )


@dataclass(frozen=True)
class Drawn:
    """Prompts, and what both policies answered."""

    prompts: list[PromptRow]
    ours: Answers
    theirs: Answers
    refused: tuple[RefusedRow, ...]
    source: str

    @cached_property
    def typed(self) -> list[TypedPrompt]:
        """The prompts as groups look at them."""
        return [TypedPrompt.of(row.prompt, row.prompt_type) for row in self.prompts]


@dataclass(frozen=True)
class Asked:
    """The prompts, and the responses where they were given."""

    prompts: list[PromptRow]
    responses: list[SampleRow] | None
    refused: tuple[RefusedRow, ...]
    source: str
    sha256: dict[str, str]


def drawn(settings: TrustSettings, policies: Policies, asked: Asked) -> Drawn:
    """Answers of both to every prompt.

    Raises:
        InputError: no prompt or response can be used.
    """
    seed = settings.seed
    sampling = Sampling(
        responses_per_prompt=settings.answers,
        max_new_tokens=settings.max_new_tokens,
        token_budget=settings.token_budget,
    )
    room = policies.context_tokens - settings.max_new_tokens
    source = asked.source
    rows, encoded, refused = encode_prompts(
        asked.prompts, policies.renders.tokenizer, room, settings.chat, source
    )
    theirs = _of_data(policies, encoded, sampling, seed)
    unread: list[RefusedRow] = []
    if asked.responses is None:
        assert policies.policy is not None
        ours = _sampled(policies.policy, policies.eos_ids, encoded, sampling, seed + 1)
    else:
        number = {row.prompt_id: at for at, row in enumerate(rows)}
        there = [row for row in asked.responses if row.prompt_id in number]
        kept, sequences, unread = _given(there, policies, settings, source)
        order = np.argsort([number[row.prompt_id] for row in kept], kind="stable")
        ours = _Said(
            np.array([number[kept[at].prompt_id] for at in order], dtype=np.int64),
            [kept[at].response for at in order],
            [sequences[at] for at in order],
        )
    prompts = [as_chat(row.prompt, settings.chat) for row in rows]
    return Drawn(
        rows,
        _scored(ours, prompts, policies, sampling),
        _scored(theirs, prompts, policies, sampling),
        (*asked.refused, *refused, *unread),
        source,
    )


def asked_of(settings: TrustSettings, grounds: Grounds) -> Asked:
    """What the settings name; prompts of the held-out pairs where they name none.

    Raises:
        InputError: it cannot be read.
    """
    if settings.responses is not None:
        return _of_responses(settings, settings.responses)
    source = str(settings.policy)
    if settings.prompts is None:
        found: dict[str, PromptRow] = {}
        for line, prompt in enumerate(grounds.held_out.prompts, 1):
            known = prompt if isinstance(prompt, str) else tuple(dict(one) for one in prompt)
            name = prompt_id(known)
            found.setdefault(name, PromptRow(line, name, known, None))
        return Asked(list(found.values())[: settings.prompt_limit], None, (), source, {})
    table = read_prompts(settings.prompts)
    rows = list(table.rows[: settings.prompt_limit])
    return Asked(rows, None, table.refused, source, {"prompts": table.sha256})


def nats_of_data(
    policies: Policies,
    texts: Sequence[str],
    prompts: Sequence[PromptText],
    chat: str,
    token_budget: int = Sampling().token_budget,
) -> Array:
    """Nats per token of given answers under the data's policy; NaN where it cannot read one."""
    reader = policies.reader
    room = min(one.context_tokens for one in policies.data)
    sequences = encode_answers(policies.renders.tokenizer, prompts, texts, reader.eos_ids, chat)
    fits = np.array(
        [len(one) <= room and len(one.response_ids) > 0 for one in sequences], dtype=bool
    )
    found = np.full(len(sequences), np.nan)
    kept = [one for one, fit in zip(sequences, fits, strict=True) if fit]
    nats, _ = Policies(None, policies.data).nats(kept, Sampling(token_budget=token_budget))
    found[fits] = nats / np.array([len(one.response_ids) for one in kept])
    return found


@dataclass(frozen=True)
class _Said:
    prompt: Codes
    texts: list[str]
    sequences: list[TokenSequence]


def _of_responses(settings: TrustSettings, source: str) -> Asked:
    table = read_samples(source)
    types: dict[str, str | None] = {}
    hashes = {"responses": table.sha256}
    if settings.prompts is not None:
        typed = read_prompts(settings.prompts)
        types = {row.prompt_id: row.prompt_type for row in typed.rows}
        hashes["prompts"] = typed.sha256
    prompts: dict[str, PromptRow] = {}
    for row in table.rows:
        name = row.prompt_id
        prompts.setdefault(name, PromptRow(row.line, name, row.prompt, types.get(name)))
    kept = dict(list(prompts.items())[: settings.prompt_limit])
    rows = [row for row in table.rows if row.prompt_id in kept]
    return Asked(list(kept.values()), rows, table.refused, source, hashes)


def _sampled(
    policy: Policy,
    eos_ids: frozenset[int],
    encoded: Sequence[tuple[int, ...]],
    sampling: Sampling,
    seed: int,
) -> _Said:
    each = sampling.responses_per_prompt
    asked = [ids for ids in encoded for _ in range(each)]
    generator = torch.Generator().manual_seed(seed)
    answers = draw_answers(policy, asked, generator, eos_ids, sampling)
    return _Said(
        np.repeat(np.arange(len(encoded)), each),
        [response_text(policy.tokenizer, ids) for ids in answers],
        [TokenSequence(ids, said) for ids, said in zip(asked, answers, strict=True)],
    )


def _of_data(
    policies: Policies, encoded: Sequence[tuple[int, ...]], sampling: Sampling, seed: int
) -> _Said:
    """The same number of answers by each of those that wrote the data, prompt after prompt."""
    each = -(-sampling.responses_per_prompt // len(policies.data))
    shared = sampling.model_copy(update={"responses_per_prompt": each})
    drawn = [
        _sampled(one, policies.eos_ids, encoded, shared, seed + 2 * at)
        for at, one in enumerate(policies.data)
    ]
    prompt = np.concatenate([one.prompt for one in drawn])
    texts = [text for one in drawn for text in one.texts]
    sequences = [row for one in drawn for row in one.sequences]
    order = np.argsort(prompt, kind="stable")
    return _Said(prompt[order], [texts[at] for at in order], [sequences[at] for at in order])


def _given(
    rows: Sequence[SampleRow], policies: Policies, settings: TrustSettings, source: str
) -> tuple[list[SampleRow], list[TokenSequence], list[RefusedRow]]:
    reader = policies.reader

    def encode(row: SampleRow) -> TokenSequence:
        prompt = as_chat(row.prompt, settings.chat)
        sequence = encode_response(policies.renders.tokenizer, prompt, row.response, reader.eos_ids)
        within(len(sequence), policies.context_tokens)
        return sequence

    return encode_rows(rows, encode, source)


def _scored(
    said: _Said, prompts: Sequence[PromptText], policies: Policies, sampling: Sampling
) -> Answers:
    data_nats, policy_nats = policies.nats(said.sequences, sampling)
    return Answers(
        said.prompt,
        said.texts,
        [prompts[at] for at in said.prompt],
        said.sequences,
        data_nats,
        policy_nats,
    )
