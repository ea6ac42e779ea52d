"""Finding objectives: is there something simple that explains enough of the log-ratio?

Candidates, all chosen on other folds than those they are judged on:

- terms: at most ten terms, beyond what length explains
- length: the number of words
- condition: at most ten terms in answers to prompts with a word or of a type

A candidate is found if it explains a share of the within-prompt variance and an amount in nats
above the thresholds (`irl.config.Deciding`) and sign flips of whole prompts do not. Terms are named
before length, and length beside terms only for what it explains beyond them. If a condition is
found, terms and length are judged on the prompts outside it. All figures are invariant under
y -> y + c(prompt).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irl.config import Deciding, Fitting
from irl.evaluation.candidates import (
    Candidate,
    judge,
    length_alone,
    length_candidate,
    terms_candidate,
)
from irl.evaluation.conditional import search_conditions
from irl.evaluation.conditions import PromptSet
from irl.evaluation.held_out import Evidence
from irl.records import Objective
from irl.recovery.forward import strongest
from irl.recovery.log_ratio import Selection, select
from irl.rewards.conditions import TypedPrompt

Array = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Search:
    """How objectives are searched for."""

    fitting: Fitting
    deciding: Deciding
    seed: int


@dataclass(frozen=True)
class Findings:
    """What was found, and everything that was tried."""

    candidates: tuple[Candidate, ...]
    "the found ones first, then by how near they come to the thresholds"
    where: PromptSet | None
    "the condition of the objective that is conditional, and the prompts that meet it"

    @property
    def best(self) -> Candidate | None:
        """The strongest candidate."""
        return self.candidates[0] if self.candidates else None

    @property
    def objectives(self) -> list[Objective]:
        """What the aligned policy is paid or charged for."""
        return [one for found in self.candidates if found.found for one in found.objectives]


def find_objectives(
    texts: Sequence[str],
    returns: Array,
    prompt: Codes,
    fold: Codes,
    prompts: Sequence[TypedPrompt],
    settings: Search,
) -> Findings:
    """Search for objectives.

    Args:
        texts: the responses.
        returns: their summed log-ratios, nats.
        prompt: prompt number of each, 0 .. n - 1 all used.
        fold: fold of each, a function of the prompt.
        prompts: the prompts by number.
        settings: thresholds and seed.

    Returns:
        Nothing at all where all prompts share a fold.
    """
    fitting, deciding, seed = settings.fitting, settings.deciding, settings.seed
    if not len(texts):
        return Findings((), None)
    evidence = Evidence.of(texts, returns, prompt, fold, fitting)
    if not evidence.folds:
        return Findings((), None)
    selections, whole = _selections(evidence)
    conditional, where = search_conditions(evidence, prompts, selections, whole, deciding, seed)
    if where is not None:
        evidence = evidence.rows(~where.mask[evidence.prompt])
        selections, whole = _selections(evidence)
    everywhere = _unconditional(evidence, selections, whole, settings)
    ranked = sorted(
        [*conditional, *everywhere], key=lambda one: (not one.found, -one.nearness(deciding))
    )
    return Findings(tuple(ranked), where)


def _selections(evidence: Evidence) -> tuple[list[Selection], Selection]:
    everything = np.ones(len(evidence.y), dtype=bool)
    catalogue, y, fitting = evidence.catalogue, evidence.y, evidence.fitting
    parts = [select(catalogue, y, ~fold, fitting) for fold in evidence.folds]
    return parts, select(catalogue, y, everything, fitting)


def _unconditional(
    evidence: Evidence, selections: Sequence[Selection], whole: Selection, settings: Search
) -> list[Candidate]:
    """Terms, and length: beyond the terms where they are found, alone where they are not."""
    deciding, seed = settings.deciding, settings.seed
    chosen = [strongest(one.columns, one.solution, deciding.max_terms) for one in selections]
    columns = strongest(whole.columns, whole.solution, deciding.max_terms)
    terms = judge(terms_candidate(evidence, chosen, columns), deciding, seed)
    length = length_candidate(evidence, chosen, columns) if terms.found else length_alone(evidence)
    return [terms, judge(length, deciding, seed)]
