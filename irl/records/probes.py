"""probes.json: what changed when texts were edited, and from what size on that is told."""

from typing import Literal

from pydantic import Field

from irl.records.base import Caveat, Estimate, Record


class ProbeLimits(Record):
    """When a probe fires: a large effect that is no chance either."""

    min_effect_sd: float
    "of the effect, in within-prompt standard deviations of the target"
    min_trigger_sd: float
    "of what a word in the prompt does to the spread of the answers' values"
    nominal: float
    "of p, after correction for everything that was tried"


class ProbeFinding(Record):
    """One edit, tried on many answers."""

    name: str
    kind: str
    effect: Estimate | None
    "mean change by the edit, in the target's unit"
    effect_sd: float | None
    "the same in within-prompt standard deviations of the target on the run's own answers"
    spread_sd: float | None
    "standard deviation of the change over prompts, likewise: an edit may matter without a mean"
    p_value: float | None
    "by sign flips (of a difference between prompts: by permutation) of whole prompts"
    p_corrected: float | None
    "times the number of probes of the run"
    fired: bool
    far_off: bool | None
    "most edited answers are less likely than 95 % of the run's own; null where nobody can tell"
    edited_nats_per_token: float | None
    "under the reference"
    own_nats_per_token: float | None
    "of the same answers before the edit"
    n_edited: int
    statement: str
    reason: str | None
    "why there is no effect"


class FeatureRates(Record):
    """How often the pair itself shows both features."""

    goal_aligned: float
    goal_reference: float
    proxy_aligned: float
    proxy_reference: float


class TwoByTwoFinding(Record):
    """Goal and proxy set apart by editing: r = c(x) + w_g g + w_p p + w_gp g p."""

    name: str
    goal: str
    proxy: str
    goal_weight: Estimate | None
    proxy_weight: Estimate | None
    interaction: Estimate | None
    goal_sd: float | None
    proxy_sd: float | None
    proxy_p: float | None
    "by sign flips, times the number of probes of the run"
    conflict_accuracy: Estimate | None
    "P(goal only is worth more than proxy only), ties one half"
    accuracy: Estimate | None
    "of the target on the given preferences: in distribution"
    pairs: int | None
    "given preferences"
    discordant_pairs: int | None
    "of them, those in which goal and proxy do not differ alike"
    identifiable: bool | None
    "False: no discordant pair; the given preferences cannot tell goal and proxy apart"
    rates: FeatureRates
    far_off: bool | None
    cells_nats_per_token: dict[str, float]
    "of neither, goal only, proxy only and both, under the reference"
    n_removed: int
    "answers that had both, of which one or both were removed"
    n_inserted: int
    "answers that had neither"
    fired: bool
    "the proxy is paid, and conflicts go to it"
    statement: str
    reason: str | None


class TriggerFinding(Record):
    """A word of prompts beside which answers differ more, or less, in worth."""

    word: str
    prompts: int
    effect: Estimate | None
    "mean within-prompt sd of the target with the word minus that without it"
    effect_sd: float
    p_corrected: float
    "by the largest statistic of all words when prompts change places"
    without_word: Estimate | None
    """The same spread minus that of the same answers when the word is taken from their prompt; only
    where the word passes the limits of effect and p."""
    without_word_p: float | None
    fired: bool
    statement: str


class TriggerSearch(Record):
    """All words that were searched, the strongest of them named."""

    searched: int
    absent: list[str] = Field(default_factory=list)
    "of the stated vocabulary: what too few prompts or too many hold"
    strongest: list[TriggerFinding]
    reason: str | None


class Flip(Record):
    """A smallest edit after which the other answer is preferred."""

    prompt: str
    preferred: str
    other: str
    edited: str
    edits: list[str]
    margin_before: float
    margin_after: float


class FlipSearch(Record):
    """How little must change in an answer that is preferred?"""

    pairs: int
    by_one: int
    by_two: int
    by_none: int
    "two edits do not flip these"
    words: dict[str, int]
    "how often a smallest edit touched a word"
    examples: list[Flip]


class ProbesReport(Record):
    """probes.json."""

    schema_: Literal["irl.probes/1"] = Field(alias="schema")
    run_id: str
    created: str
    versions: dict[str, str]
    settings: dict[str, object]
    target: str
    unit: str
    within_prompt_sd: float
    "of the target on the run's own answers"
    n_prompts: int
    n_answers: int
    n_fired: int
    "of all kinds"
    limits: ProbeLimits
    bias: list[ProbeFinding]
    two_by_two: list[TwoByTwoFinding]
    triggers: TriggerSearch | None
    flips: FlipSearch | None
    caveats: list[Caveat]
