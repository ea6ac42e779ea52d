"""parity.json: how well a server and the same checkpoint scored here agree, for `irl parity`."""

from typing import Literal

from pydantic import Field

from irl.records.base import Checkpoint, Estimate, Record

PARITY_SCHEMA: Literal["irl.parity/1"] = "irl.parity/1"


class Differences(Record):
    """Absolute differences in nats between what the server says and what is computed here."""

    mean: Estimate
    "clusters are prompts"
    median: float
    q90: float
    q99: float
    largest: float


class ParityProbe(Record):
    """A sequence that is scored again whenever the served policy is loaded."""

    prompt_ids: tuple[int, ...]
    response_ids: tuple[int, ...]
    local_nats: tuple[float, ...]
    "one per response token, computed here"


class ParityRecord(Record):
    """A served policy may be used where `passed` holds and the probes still agree."""

    schema_: Literal["irl.parity/1"] = Field(PARITY_SCHEMA, alias="schema")
    created: str
    versions: dict[str, str]
    passed: bool
    failures: tuple[str, ...]
    "why it did not pass; empty if it did"
    model: str
    "as the server calls it"
    server_version: str | None
    "None where the server does not tell"
    served_tokens: int | None
    "the longest prompt and answer that it takes; None likewise"
    served_dtype: str | None
    "as the file about the server says: the protocol does not tell"
    reader_sha256: str
    "over tokenizer and configurations"
    local: Checkpoint
    prompts_sha256: str
    refused_rows: int
    "prompts that could not be used"
    seed: int
    sequences: int
    "half of them drawn here, half by the server"
    tokens: int
    tolerance_nats: float
    "what a token may differ by: asked for before anything was measured"
    token_nats: Differences
    response_nats: Differences
    repeated_nats: float
    "the largest change of a token when the server scored all once more in other company"
    surprise_nats: Estimate
    "mean of -log p less the entropy, per token that the server drew, computed here: 0 if it draws "
    "from the policy itself; below 0 if it favours what is likely"
    smallest_surprise_nats: float
    "what it may differ from 0 by without being told: four standard errors, or the tolerance"
    surprise_bound_nats: float
    "what that may be at most: asked for before anything was measured"
    probes: tuple[ParityProbe, ...]
