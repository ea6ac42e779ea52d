"""Plain sentences with numbers: what was found, or how near the best candidate came."""

from collections.abc import Iterator

from irl.config import Deciding
from irl.evaluation.candidates import Candidate
from irl.evaluation.objectives import Findings
from irl.evaluation.spillover import Spillover
from irl.records import Estimate, Fit, Objective, PromptCondition
from irl.rewards.conditions import in_words

TERMS_NAMED = 5
_KINDS = {"term": "terms", "length": "length", "conditional": "terms under a condition"}


def of_findings(findings: Findings, deciding: Deciding) -> Iterator[str]:
    """The objectives with their prices and effect sizes; the best candidate if none was found."""
    found = [one for one in findings.candidates if one.found]
    for candidate in found:
        yield from (priced(objective) for objective in candidate.objectives)
        yield _effect(candidate)
    if not found and findings.best is not None:
        yield from _nearest(findings.best, deciding)


def priced(objective: Objective) -> str:
    """What is paid or charged, for what, and where."""
    weight = objective.weight
    pays = weight.value >= 0
    low, high = (weight.low, weight.high) if pays else (-weight.high, -weight.low)
    price = f"{abs(weight.value):.2f} nats ({low:.2f} to {high:.2f})"
    verb = "Pays" if pays else "Charges"
    if objective.kind == "length":
        return f"{verb} {price} for every word: longer answers are {'paid' if pays else 'charged'}."
    return f"{verb} {price} for each {_named(objective.terms)}{_where(objective.condition)}."


def of_fit(fit: Fit, sd: Estimate | None, per_word: Estimate | None) -> Iterator[str]:
    """How well all terms together stand in for the log-ratio."""
    if fit.r2 is not None and sd is not None:
        yield (
            f"Term counts explain {interval(fit.r2)} of the within-prompt variance of the "
            f"summed log-ratio on prompts they were not fitted to, a movement of "
            f"{interval(sd)} nats (sd) per response; {fit.r2.n} prompts."
        )
    if fit.membership_auc is not None:
        yield (
            f"The recovered reward puts an aligned answer above a reference answer to the same "
            f"prompt with probability {interval(fit.membership_auc)}."
        )
    if per_word is not None:
        yield (
            f"Beside the terms, every word goes with {interval(per_word)} nats, whatever it is: "
            "a price of length, or mere drift; the two are not told apart here."
        )


def of_odds(error: Estimate | None) -> Iterator[str]:
    """Whether the recovered reward can be taken at its word."""
    if error is not None:
        yield (
            "Taken as odds of which of two answers is the aligned one, the recovered reward has a "
            f"calibration error of {interval(error)}, on prompts it was not fitted to."
        )


def of_signs(spilled: Spillover | None, lost: Estimate | None) -> Iterator[str]:
    """What the reading of the log-ratio rests on, beside what the user says of the training."""
    if spilled is not None and spilled.share is not None and spilled.order_agreement is not None:
        yield (
            f"Of what terms explain, {interval(spilled.share)} goes with words that are paid "
            "less than half the usual price; of answers that dear words tell apart, the log-ratio "
            f"ranks {interval(spilled.order_agreement)} as they do."
        )
    if lost is not None:
        yield f"The aligned policy has lost {interval(lost)} of the reference's entropy per token."


def interval(estimate: Estimate) -> str:
    """The value and its interval."""
    return f"{estimate:.2f}"


def _named(terms: list[str]) -> str:
    if len(terms) == 1:
        return terms[0]
    if len(terms) <= TERMS_NAMED:
        return f"of {', '.join(terms)}"
    return f"of {', '.join(terms[:TERMS_NAMED])}, ... ({len(terms)} terms)"


def _where(condition: PromptCondition | None) -> str:
    return f", only when {in_words(condition)}" if condition else ""


def _effect(candidate: Candidate) -> str:
    assert candidate.r2 is not None
    assert candidate.sd_nats is not None
    beyond = {
        "term": " beyond length",
        "length": "",
        "conditional": f"{_where(candidate.condition)}, beyond length and what is paid elsewhere",
    }[candidate.kind]
    return (
        f"On prompts that had no part in choosing it, this explains {interval(candidate.r2)} of "
        f"the within-prompt variance{beyond}, {interval(candidate.sd_nats)} nats (sd); sign flips "
        f"of whole prompts explain as much with probability {_p(candidate.p_value)}; "
        f"{candidate.r2.n} prompts."
    )


def _nearest(best: Candidate, deciding: Deciding) -> Iterator[str]:
    if best.r2 is None or best.sd_nats is None:
        return
    small = best.nearness(deciding) < 1
    why = (
        f"thresholds of {deciding.min_r2:.2f} and {deciding.min_sd_nats:.2f}"
        if small
        else "thresholds, but not beyond what chance or other prompts explain as well"
    )
    yield (
        f"No objective was found: the best candidate ({_KINDS[best.kind]}"
        f"{_where(best.condition)}) explains {interval(best.r2)} of the within-prompt variance, "
        f"{interval(best.sd_nats)} nats (sd), {'below the' if small else 'above the'} {why}; "
        f"p = {_p(best.p_value)}."
    )


def _p(value: float) -> str:
    return f"{value:.4f}"
