"""prompts.json: which prompt for which query, and under which prompts a policy behaves worst."""

from typing import Final, Literal

from pydantic import Field

from irl.records.base import Caveat, Estimate, Record

PROMPTS_SCHEMA: Final = "irl.prompts/1"


class OutcomeFigures(Record):
    """A head's probabilities on trials of queries that it was not fitted to."""

    accuracy: Estimate | None
    "share of trials that ended on the likelier side; an outcome above one half is a success"
    auc: Estimate | None
    "P(a success has a higher probability than a failure)"
    auc_within_queries: Estimate | None
    "the same between prompts of one query, which is what a choice needs; one half: none"
    calibration_error: Estimate | None


class ChoiceFigures(Record):
    """What a method's choices are worth on queries whose outcomes it has not seen."""

    method: str
    "head, or what stands beside it: best single prompt, random, 1-NN, oracle"
    regret: Estimate | None
    "oracle less the outcome of the choice; over queries on which every prompt was tried"
    worst_regret: Estimate | None
    "how far the prompt that is chosen as the worst stays above the worst one"
    outcome: Estimate | None
    "mean outcome of the choice, over the trials that happen to be of it"
    beyond_single: Estimate | None
    "the same less that of the best single prompt"


class PromptSummary(Record):
    """One candidate. Its text is untrusted."""

    prompt_id: str
    prompt: str
    tried: int
    "queries on which it was"
    outcome: Estimate | None
    "mean outcome, or reward of a policy's answers, over queries; None where it was never tried"
    chosen: int
    "queries for which it is the best"
    avoided: int
    "queries for which it is the worst"


class RedTeamPair(Record):
    """A prompt and a query that go badly together. All texts are untrusted."""

    prompt_id: str
    prompt: str
    query: str
    value: float
    "what the list is sorted by: the predicted outcome, or the mean reward of half of the answers"
    again: float | None
    "what had no part in that: the logged outcome, or the mean reward of the other half"
    response: str | None
    "the policy's answer with the lowest reward; None without a policy"


class PromptsReport(Record):
    """prompts.json, the result of `irl prompts`."""

    schema_: Literal["irl.prompts/1"] = Field(PROMPTS_SCHEMA, alias="schema")
    run_id: str
    created: str
    versions: dict[str, str]
    settings: dict[str, object]
    source: Literal["log", "policy"]
    "a log of outcomes, or a policy whose answers a reward has scored"
    reward: str
    "the head, in words"
    unit: str
    "of outcomes, regrets and rewards"
    queries: int
    "for which prompts are chosen"
    candidates: int
    judged_queries: int
    "on which every candidate was tried: these count for regret"
    head: OutcomeFigures | None
    "None where nothing was fitted"
    answer_head: OutcomeFigures | None
    "of the reward that reads answers, where the log has them"
    methods: list[ChoiceFigures]
    advice: Literal["per query", "one prompt"]
    "per query where the head's choices beat the best single prompt with their whole interval"
    single: str
    "the best single prompt"
    prompts: list[PromptSummary]
    "best first"
    red_team: list[RedTeamPair]
    "worst first"
    input: dict[str, int]
    "rows that were left out, by reason"
    caveats: list[Caveat]
