"""The job `irl parity`: does a server score, and draw, as the same checkpoint does here?

1. Draw answers to the prompts, half here and half by the server.
2. Score all of them here, by the server, and by the server once more in other company: what a score
   depends on beside its own tokens (cached prefixes, batch mates) shows there.
3. Of the server's answers, hold -log p against the entropy at every token, both computed here. For
   plain samples of the policy the differences add up to 0 on average; top-k, top-p, penalties or
   another temperature pull them away.
4. Passed: no token differs by more than the tolerance, which was chosen before; 3 is no further
   from 0 than four standard errors or the tolerance; and four standard errors are no more than a
   bound, chosen before too: with few tokens any server would be near enough.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from irl.bootstrap import from_sums, ratio
from irl.config import Chat, Loading, Sampling, Settings
from irl.data import PromptRow, Table, read_prompts
from irl.engine.local import draw_answers
from irl.engine.scoring import score_policy
from irl.errors import InputError, PolicyError, RunError
from irl.jobs.encoding import encode_prompts
from irl.policies.checkpoint import locate
from irl.policies.entropy import surprises
from irl.policies.load import load_full
from irl.policies.pair import PolicyPair, refuse_different_tokenizers
from irl.policies.policy import Policy
from irl.policies.quiet import quiet_libraries
from irl.policies.served.load import load_served, server_version
from irl.policies.served.policy import ServedPolicy
from irl.policies.threads import keep_to_cores
from irl.records import Differences, Estimate, ParityProbe, ParityRecord
from irl.runs import now, versions, write_text
from irl.tensors import TokenSequence

Array = NDArray[np.float64]
_PROBES = 4
_STANDARD_ERRORS = 4.0
_HALF_WIDTH = 1.96
"Standard errors from the middle to the end of a 95 % interval"


class ParitySettings(Settings):
    """What comparing a server with a checkpoint needs."""

    served: str
    local: str
    prompts: str
    prompt_limit: int = Field(64, ge=2)
    answers: int = Field(4, ge=1)
    "per prompt, of either"
    max_new_tokens: int = Field(48, ge=1)
    tolerance_nats: float = Field(0.05, gt=0)
    "what a token's log-probability may differ by"
    surprise_bound_nats: float = Field(0.1, gt=0)
    "how far from plain samples a server may draw without being told; docs/remote.md"
    chat: Chat = "auto"
    seed: int = Field(0, ge=0)
    loading: Loading = Loading()

    @property
    def sampling(self) -> Sampling:
        """How answers are drawn."""
        return Sampling(max_new_tokens=self.max_new_tokens)


@dataclass(frozen=True)
class _Scored:
    """The same sequences, scored in three ways; rows belong to numbered prompts."""

    sequences: list[TokenSequence]
    prompt: NDArray[np.int64]
    here: list[Array]
    there: list[Array]
    again: list[Array]
    surprise: "_Surprise"
    refused_rows: int


@dataclass(frozen=True)
class _Surprise:
    """Of the tokens that the server drew."""

    nats: Estimate
    "a token"
    error_nats: float
    "the standard error: from prompt to prompt, or from theory if that is larger"
    tokens: int

    def smallest(self, settings: ParitySettings) -> float:
        """What would have been told, nats a token."""
        tolerance = min(settings.tolerance_nats, settings.surprise_bound_nats)
        return max(_STANDARD_ERRORS * self.error_nats, tolerance)

    def tokens_for(self, bound_nats: float) -> int:
        """About how many are needed for four standard errors to be as small."""
        return math.ceil(self.tokens * (_STANDARD_ERRORS * self.error_nats / bound_nats) ** 2)


def parity(settings: ParitySettings, out: Path) -> ParityRecord:
    """Compare, and write the record, passed or not.

    Raises:
        InputError: the prompts or the file about the server cannot be used.
        PolicyError: the checkpoint is an adapter, cannot be loaded, or reads text differently.
        ServerError: the server does not answer, or not what it was asked.
        RunError: the record cannot be written.
    """
    quiet_libraries()
    keep_to_cores()
    _refuse_unwritable(out)
    table = read_prompts(settings.prompts)
    loading = settings.loading
    location = locate(settings.local, loading.reference_revision)
    if location.adapter is not None:
        raise PolicyError(
            f"{settings.local} is an adapter, and the record must name all weights that are "
            "compared; merge it into a full checkpoint first, and serve that."
        )
    served = load_served(settings.served, loading, loading.aligned_revision, checked=False)
    local = load_full(location, loading)
    pair = PolicyPair(served, local)
    refuse_different_tokenizers(pair)
    record = _record(settings, table, served, local, _scored(settings, table, pair))
    write_text(out, record.to_json())
    return record


def _refuse_unwritable(out: Path) -> None:
    """Before the work is done."""
    reason: str | None = "it is a folder" if out.is_dir() else None
    try:
        NamedTemporaryFile(prefix=f".{out.name}.", dir=out.parent).close()
    except OSError as error:
        reason = error.strerror or str(error)
    if reason:
        raise RunError(f"{out} cannot be written ({reason}); name a file that can.")


def _scored(settings: ParitySettings, table: Table[PromptRow], pair: PolicyPair) -> _Scored:
    room = pair.context_tokens - settings.max_new_tokens
    asked = table.rows[: settings.prompt_limit]
    rows, encoded, refused = encode_prompts(
        asked, pair.tokenizer, room, settings.chat, table.source
    )
    if len(rows) < 2:
        raise InputError(f"{settings.prompts} holds one usable prompt; at least two are needed.")
    prompt = np.repeat(np.arange(len(rows)), settings.answers)
    wanted = [encoded[at] for at in prompt]
    generator = torch.Generator().manual_seed(settings.seed)
    sampling = settings.sampling
    drawn = {
        side: [
            TokenSequence(ids, answer)
            for ids, answer in zip(
                wanted, draw_answers(side, wanted, generator, pair.eos_ids, sampling), strict=True
            )
        ]
        for side in (pair.reference, pair.aligned)
    }
    theirs = drawn[pair.aligned]
    surprise = _surprise(pair.reference, theirs, prompt, settings.seed)
    sequences = [*drawn[pair.reference], *theirs]
    return _Scored(
        sequences,
        np.tile(prompt, 2),
        _arrays(score_policy(pair.reference, sequences, sampling)),
        _arrays(score_policy(pair.aligned, sequences, sampling)),
        _again(pair.aligned, sequences, settings),
        surprise,
        len(table.refused) + len(refused),
    )


def _again(served: Policy, sequences: list[TokenSequence], settings: ParitySettings) -> list[Array]:
    """Scored in two halves that were mixed, so that each sequence has other company."""
    order = list(range(len(sequences)))
    random.Random(settings.seed).shuffle(order)
    found: list[Array] = [np.empty(0)] * len(sequences)
    for half in (order[::2], order[1::2]):
        nats = score_policy(served, [sequences[at] for at in half], settings.sampling)
        for at, row in zip(half, _arrays(nats), strict=True):
            found[at] = row
    return found


def _surprise(
    local: Policy, sequences: list[TokenSequence], prompt: NDArray[np.int64], seed: int
) -> _Surprise:
    sums = surprises(local, sequences)
    tokens = np.array([len(one.response_ids) for one in sequences], dtype=float)
    found = from_sums(np.stack([sums.nats, tokens], 1), prompt, ratio, seed=seed)
    if found is None:
        raise InputError("The server draws empty answers only, so its sampling cannot be checked.")
    n = int(tokens.sum())
    spread = max(found.high - found.value, found.value - found.low) / _HALF_WIDTH
    return _Surprise(found, max(spread, math.sqrt(sums.variance.sum()) / n), n)


def _record(
    settings: ParitySettings,
    table: Table[PromptRow],
    served: ServedPolicy,
    local: Policy,
    scored: _Scored,
) -> ParityRecord:
    gaps = [np.abs(here - there) for here, there in zip(scored.here, scored.there, strict=True)]
    sums = np.array(
        [
            abs(here.sum() - there.sum())
            for here, there in zip(scored.here, scored.there, strict=True)
        ]
    )
    moved = [np.abs(one - two) for one, two in zip(scored.there, scored.again, strict=True)]
    by_token = np.repeat(scored.prompt, [len(row) for row in gaps])
    token = _differences(np.concatenate(gaps), by_token, settings.seed)
    repeated = float(np.concatenate(moved).max())
    failures = tuple(_failures(token, repeated, scored.surprise, settings))
    client = served.client
    return ParityRecord(
        schema="irl.parity/1",
        created=now(),
        versions=versions(),
        passed=not failures,
        failures=failures,
        model=client.served.model,
        server_version=server_version(served),
        served_tokens=served.served_tokens,
        served_dtype=client.served.dtype,
        reader_sha256=served.reader.sha256,
        local=local.checkpoint,
        prompts_sha256=table.sha256,
        refused_rows=scored.refused_rows,
        seed=settings.seed,
        sequences=len(scored.sequences),
        tokens=len(by_token),
        tolerance_nats=settings.tolerance_nats,
        token_nats=token,
        response_nats=_differences(sums, scored.prompt, settings.seed),
        repeated_nats=repeated,
        surprise_nats=scored.surprise.nats,
        smallest_surprise_nats=scored.surprise.smallest(settings),
        surprise_bound_nats=settings.surprise_bound_nats,
        probes=tuple(_probes(scored)),
    )


def _failures(
    token: Differences, repeated: float, surprise: _Surprise, settings: ParitySettings
) -> list[str]:
    found, tolerance = [], settings.tolerance_nats
    if not token.largest <= tolerance:
        found.append(
            f"a token's log-probability differs by {token.largest:.2g} nats from the one computed "
            f"here, allowed are {tolerance:g} (mean {token.mean:.2g})"
        )
    if not repeated <= tolerance:
        found.append(
            f"the server moves a token by {repeated:.2g} nats when it scores the same sequences in "
            f"other company, allowed are {tolerance:g} (vLLM: try --no-enable-prefix-caching)"
        )
    return [*found, *_drawing(surprise, settings)]


def _drawing(surprise: _Surprise, settings: ParitySettings) -> list[str]:
    """What the server's samples have against it."""
    value, bound = surprise.nats.value, settings.surprise_bound_nats
    smallest = surprise.smallest(settings)
    if abs(value) > smallest:
        return [
            "the server does not draw from the policy itself: the tokens that it draws are "
            f"{abs(value):.2g} nats {'more' if value < 0 else 'less'} likely "
            "than samples would be (top-k, top-p, penalties, a temperature or a watermark)"
        ]
    if smallest > bound:
        return [
            f"the {surprise.tokens} tokens that the server drew are too few to tell whether it "
            f"draws from the policy itself: unless they are {smallest:.3g} nats more or less "
            f"likely than samples would be, it is chance, and at most {bound:g} is asked for; "
            f"about {surprise.tokens_for(bound)} tokens are needed (more prompts, --set answers= "
            "or --set max_new_tokens=)"
        ]
    return []


def _differences(values: Array, prompt: NDArray[np.int64], seed: int) -> Differences:
    mean = from_sums(
        np.stack([values, np.ones_like(values)], 1), _numbered(prompt), ratio, seed=seed
    )
    if mean is None:
        raise InputError("Answers to at least two prompts are needed to compare a server.")
    median, q90, q99 = (float(np.quantile(values, share)) for share in (0.5, 0.9, 0.99))
    return Differences(mean=mean, median=median, q90=q90, q99=q99, largest=float(values.max()))


def _numbered(prompt: NDArray[np.int64]) -> NDArray[np.int64]:
    numbers: NDArray[np.int64] = np.unique(prompt, return_inverse=True)[1]
    return numbers


def _probes(scored: _Scored) -> list[ParityProbe]:
    """A few sequences, from the shortest answer to the longest."""
    there = [at for at, row in enumerate(scored.here) if len(row)]
    ordered = sorted(there, key=lambda at: len(scored.here[at]))
    spread = np.linspace(0, len(ordered) - 1, min(_PROBES, len(ordered))).round().astype(int)
    return [
        ParityProbe(
            prompt_ids=scored.sequences[at].prompt_ids,
            response_ids=scored.sequences[at].response_ids,
            local_nats=tuple(scored.here[at].tolist()),
        )
        for at in (ordered[one] for one in spread)
    ]


def _arrays(nats: Sequence[torch.Tensor]) -> list[Array]:
    return [row.double().numpy() for row in nats]
