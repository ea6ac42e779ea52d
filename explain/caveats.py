"""What the reader of one run must know, beside the caveats of the method itself."""

from collections.abc import Iterator

from irl.config import AuditSettings
from irl.evaluation.identifiability import ALARM, LeftOpen
from irl.jobs.agreement import Agreement
from irl.jobs.scoring import Sampled
from irl.policies.pair import PolicyPair
from irl.policies.served.policy import served_caveats
from irl.policies.template import has_template
from irl.records import Caveat

WORDS_NAMED = 5


def run_caveats(
    sampled: Sampled,
    pair: PolicyPair,
    agreed: Agreement,
    opened: LeftOpen,
    settings: AuditSettings,
) -> list[Caveat]:
    """Everything about the input and the pair that bears on the numbers."""
    return [
        Caveat(code=code, text=text)
        for code, text in (
            *_input_facts(sampled, agreed, settings),
            *_pair_facts(sampled, pair),
            *_open_facts(opened),
        )
    ]


def _input_facts(
    sampled: Sampled, agreed: Agreement, settings: AuditSettings
) -> Iterator[tuple[str, str]]:
    cut, n = sampled.counts["truncated_responses"], sampled.counts["responses"]
    if cut:
        yield (
            "truncated-responses",
            f"{cut} of {n} answers reached the token limit and were scored up to it.",
        )
    refused = len(sampled.refused) + len(agreed.refused)
    if refused:
        yield (
            "refused-rows",
            f"{refused} input rows could not be used; log.jsonl names each with its reason.",
        )
    if agreed.untyped:
        yield (
            "condition-needs-prompt-type",
            "The recovered reward pays for some terms only in one type of prompt; "
            f"{agreed.untyped} labelled responses have no prompt_type, so there it does not.",
        )
    if any(row.preference is None for row in agreed.rows):
        yield (
            "not-measured-pairs",
            "Some labels are of no pairs; preference, length_controlled and ece are null there.",
        )
    if any(row.ece is None and row.preference is not None for row in agreed.rows):
        yield (
            "reversed-score",
            "A score that ranks some of its labelled pairs in reverse has no odds to give, so ece "
            "is null there.",
        )
    if not settings.preferences:
        yield (
            "not-measured-accuracy",
            "No labelled preferences were given, so accuracy is empty.",
        )
    if not settings.full:
        yield (
            "not-measured-explanations",
            "Attributions, concepts, probes, credit of segments, answers of one token and trust "
            "were not asked for; `irl audit --full` measures them.",
        )


def _pair_facts(sampled: Sampled, pair: PolicyPair) -> Iterator[tuple[str, str]]:
    for caveat in served_caveats(pair.aligned, pair.reference):
        yield caveat.code, caveat.text
    dtype = pair.aligned.checkpoint.dtype
    if dtype not in ("float32", "served"):
        off = pair.aligned.path.precision_nats
        measured = "" if off is None else f", here by {off:.2g} nats per response on average"
        yield (
            "low-precision",
            f"The weights were loaded as {dtype}: small log-ratios drown in rounding{measured}; "
            "`irl doctor` prints the noise floor.",
        )
    ours, theirs = (side.tokenizer.chat_template for side in (pair.aligned, pair.reference))
    if ours != theirs:
        yield (
            "chat-templates-differ",
            "The two sides have different chat templates; the aligned one was used for both.",
        )
    if has_template(pair.tokenizer) and all(isinstance(p, str) for p in sampled.answers.prompts):
        yield (
            "plain-prompts",
            "The model has a chat template but the prompts are plain strings, which were used as "
            "they are (as TRL does); --set chat=always sends them as user messages.",
        )


def _open_facts(opened: LeftOpen) -> Iterator[tuple[str, str]]:
    if opened.shortcuts:
        some = ", ".join(opened.shortcuts[:WORDS_NAMED])
        yield (
            "shortcuts",
            f"{len(opened.shortcuts)} features tell who wrote an answer beyond what the log-ratio "
            f"tells ({some}), by a normal approximation at probability {ALARM:g}: the answers may "
            "not be plain samples of the policies as they were scored, and a reward learnt from "
            "samples would pay these.",
        )
    if opened.record.null_directions:
        first = opened.record.null_directions[0].terms
        yield (
            "null-directions",
            "Some prices can be moved against each other at next to no change of the rewards; "
            f"first of all those of {', '.join(first[:WORDS_NAMED])}. identifiability lists them.",
        )
