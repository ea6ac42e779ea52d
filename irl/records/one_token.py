"""one_token.json: what answers of one token are worth."""

from typing import Final, Literal

from pydantic import Field

from irl.records.base import Caveat, Checkpoint, Record

ONE_TOKEN_SCHEMA: Final = "irl.one-token/1"


class OneTokenAnswer(Record):
    """One token as a whole answer; one_token.parquet holds the same columns for every token."""

    token_id: int
    token: str
    "with its leading space; special tokens by name"
    special: bool
    value: float
    "log-ratio of the answer, centred within the prompt, mean over prompts, nats"
    low: float | None
    high: float | None
    "95 % interval over prompts; None with one prompt"
    n: int
    "prompts"
    first_nats: float
    "the log-ratio of the token alone, not centred"
    end_nats: float
    "the log-ratio of ending after it, not centred"
    aligned_probability: float
    reference_probability: float
    "of the whole answer, mean over prompts"
    off_map: bool
    "less likely than the floor under both policies: no evidence"
    term_weight: float | None
    term_low: float | None
    term_high: float | None
    "the word's fitted weight per occurrence, of the given run; None if its fit did not keep it"


class LeftOut(Record):
    """Tokens of a large vocabulary that were not followed to the end of the answer."""

    tokens: int
    aligned_share: float
    reference_share: float
    "of the first tokens of answers"


class OneTokenReport(Record):
    """one_token.json."""

    schema_: Literal["irl.one-token/1"] = Field(ONE_TOKEN_SCHEMA, alias="schema")
    run_id: str
    created: str
    versions: dict[str, str]
    settings: dict[str, object]
    aligned: Checkpoint
    reference: Checkpoint
    prompts: int
    tokens: int
    "answers that were scored"
    left_out: LeftOut | None
    "None where every token of the vocabulary was scored"
    aligned_share: float
    reference_share: float
    "of each policy's answers that are one of those scored, mean over prompts"
    floor: float
    off_map: int
    best: list[OneTokenAnswer]
    worst: list[OneTokenAnswer]
    "of those on the map, the most extreme first"
    caveats: list[Caveat]
