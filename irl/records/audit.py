"""report.json: one audit."""

from typing import Final, Literal

from pydantic import Field

from irl.records.base import Caveat, Checkpoint, Estimate, Record
from irl.records.contexts import Contexts
from irl.records.contraction import Contraction
from irl.records.explanations import Explanations
from irl.records.true_reward import TruthAgreement

SCHEMA: Final = "irl.audit/1"


class Pair(Record):
    """The two policies, and what the user says of the training."""

    aligned: Checkpoint
    reference: Checkpoint
    trained_with: str


class Verdict(Record):
    """The answer, with what stands against it."""

    objective_found: bool | None
    p_value: float | None
    explained_r2: Estimate | None
    explained_sd_nats: Estimate | None
    readability: Literal["reward", "order", "direction", "unreadable"] | None
    statements: list[str]
    caveats: list[Caveat]


class PromptCondition(Record):
    """Where an objective applies: exactly one of the two is set."""

    prompt_contains: str | None = None
    prompt_type: str | None = None


class Objective(Record):
    """One thing that the aligned policy was found to be paid for."""

    kind: Literal["term", "length", "conditional", "other"]
    condition: PromptCondition | None
    terms: list[str]
    weight: Estimate
    explained_sd_nats: Estimate | None


class Term(Record):
    """A word or phrase that is paid for (+) or charged for (-), in nats per occurrence."""

    term: str
    weight: float
    low: float
    high: float
    occurrences: int
    condition: PromptCondition | None
    token_mean_nats: float | None
    "plain average log-ratio of the term's own tokens, for contrast"


class ChangedTerm(Record):
    """A term used more or less often; no evidence that it is paid for."""

    term: str
    reference_rate: float
    "occurrences per response"
    aligned_rate: float


class Fit(Record):
    """How well the recovered reward stands in for the log-ratio, out of fold."""

    membership_auc: Estimate | None
    "P(reward of an aligned answer > reward of a reference answer to the same prompt)"
    r2: Estimate | None
    "share of the within-prompt variance of the summed log-ratio"
    spearman_with_log_ratio: Estimate | None


class Accuracy(Record):
    """Agreement of one scorer with given labels."""

    scorer: Literal["log_ratio", "recovered"]
    labels: str
    preference: Estimate | None
    "share of pairs ranked as labelled, ties one half"
    auc: Estimate | None
    "P(chosen scores above rejected) over all such couples that share a prompt"
    spearman: Estimate | None
    ece: Estimate | None
    length_controlled: Estimate | None
    "pair accuracy after the linear effect of length is taken from the scores"


AspectStatus = Literal["priced", "constant", "rare", "tied"]


class Aspect(Record):
    """A declared feature of a response, and its price with the other declared ones held fixed."""

    name: str
    unit: str
    "what one of it is: a word, a match, a sentence"
    status: AspectStatus
    """constant: the same in all answers to a prompt; rare: it varies in too few prompts; tied: not
    told apart from aspects that were declared before it. Only what is priced has a weight."""
    tied_to: list[str]
    "the aspects that it is not told apart from; of a priced one, those whose price it carries too"
    weight: float | None
    "nats per unit"
    low: float | None
    high: float | None
    sd: float
    "standard deviation within prompts, in its unit"
    drop_one_r2: Estimate | None
    "what R2 loses without it, out of fold"
    reference_rate: float
    "mean of a response, in its unit"
    aligned_rate: float


class AspectResidual(Record):
    """A response that the declared aspects explain badly: read it."""

    response_id: str
    log_ratio_nats: float
    "summed, centred within the prompt"
    residual_nats: float
    "what of it the aspects leave unexplained, out of fold"


class PositionKL(Record):
    """Mean log-ratio of aligned answers at one token position (0 = first of the response)."""

    position: int
    kl_nats: float
    n: int


class TokenMove(Record):
    """A token with its mean log-ratio over both policies' answers."""

    token: str
    mean_log_ratio_nats: float
    n: int


class PromptKL(Record):
    """A prompt with the mean summed log-ratio of its aligned answers."""

    prompt_id: str
    kl_nats: float


class Drift(Record):
    """How far the aligned policy moved. Forward is E_aligned, reverse is E_reference."""

    sequence_kl_nats: Estimate
    token_kl_nats: Estimate
    reverse_sequence_kl_nats: Estimate
    reverse_token_kl_nats: Estimate
    by_position: list[PositionKL]
    top_tokens: list[TokenMove]
    top_prompts: list[PromptKL]


class Recovery(Record):
    """One recovery method over its seeds."""

    method: str
    seeds: int
    heldout_accuracy: Estimate | None
    auc: Estimate | None
    spearman_with_log_ratio: Estimate | None
    mean: float | None
    sd: float | None
    min: float | None
    max: float | None
    sign_flip_share: float | None
    status: str


class NullDirection(Record):
    """Terms whose weights the data cannot tell apart."""

    terms: list[str]
    share: float


class MethodDistance(Record):
    """The distance between the rewards of two methods."""

    a: str
    b: str
    distance: float


class Identifiability(Record):
    """What the data leave open."""

    posterior_trace: float | None
    posterior_logdet: float | None
    null_directions: list[NullDirection]
    method_distances: list[MethodDistance]


class GateRow(Record):
    """One limit of gate.yaml and whether the run keeps it."""

    path: str
    on: Literal["value", "low", "high"]
    limit: str
    value: float | bool | str | None
    passed: bool


class AuditReport(Record):
    """report.json."""

    schema_: Literal["irl.audit/1"] = Field(SCHEMA, alias="schema")
    run_id: str
    created: str
    versions: dict[str, str]
    settings: dict[str, object]
    pair: Pair
    verdict: Verdict
    objectives: list[Objective]
    terms: list[Term]
    changed: list[ChangedTerm]
    fit: Fit
    accuracy: list[Accuracy]
    aspects: list[Aspect]
    aspects_r2: Estimate | None
    aspect_residuals: list[AspectResidual]
    drift: Drift | None
    recovery: list[Recovery]
    identifiability: Identifiability | None
    contexts: Contexts | None = None
    explanations: Explanations | None = None
    "of `irl audit --full`"
    contraction: list[Contraction] | None = None
    "empty where nothing is paid, or too few prompts were asked"
    truth: list[TruthAgreement] | None = None
    """of organisms, whose folder tells what was paid; empty elsewhere. These four may be absent
    from reports of earlier versions."""
    gate: list[GateRow]
    timings_seconds: dict[str, float]
    peak_memory_bytes: int
