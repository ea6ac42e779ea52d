"""Candidates for an objective, their effect sizes, and what they are called if they pass."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from irl.bootstrap import percentile_estimate
from irl.config import Deciding
from irl.evaluation.fit import explained_sd_nats
from irl.evaluation.held_out import LENGTH, NOTHING, Evidence, HeldOut, hold_out
from irl.evaluation.sign_flips import sign_flip_p
from irl.records import Estimate, Objective, PromptCondition
from irl.recovery.least_squares import solve
from irl.recovery.log_ratio import bootstrap_weights

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Kind = Literal["term", "length", "conditional"]
MIN_GROUP_SHARE = 0.1
"Of what a candidate explains: terms paid for, or charged for, that carry less are not listed"


@dataclass(frozen=True)
class Candidate:
    """Something that may be an objective, judged within the prompts where it applies."""

    kind: Kind
    condition: PromptCondition | None
    terms: tuple[str, ...]
    "those that all prompts together choose, strongest first"
    r2: Estimate | None
    "share of the within-prompt variance: of terms beyond length, of length what is asked of it"
    sd_nats: Estimate | None
    p_value: float
    explained_squares: float
    "over all its prompts, squared nats"
    found: bool
    objectives: tuple[Objective, ...]
    "what it says if it is found"

    def nearness(self, deciding: Deciding) -> float:
        """How near both effect sizes come to their thresholds; 1 and more passes."""
        if self.r2 is None or self.sd_nats is None:
            return 0.0
        shares = (
            self.r2.value / (deciding.min_r2 or 1),
            self.sd_nats.value / (deciding.min_sd_nats or 1),
        )
        return min(shares)


@dataclass(frozen=True)
class Judged:
    """A candidate's features with how they were held out."""

    kind: Kind
    evidence: Evidence
    held: HeldOut
    columns: Codes
    "the columns of the candidate that all prompts together choose, strongest first"
    beside: Codes
    "the columns that it is judged beyond"
    left: Array
    "the returns that all these columns are fitted to"
    condition: PromptCondition | None = None


def judge(judged: Judged, deciding: Deciding, seed: int, chance: float = 0.0) -> Candidate:
    """The effect sizes of a candidate, and whether it passes.

    Args:
        judged: what to judge.
        deciding: the thresholds.
        seed: of bootstrap and sign flips.
        chance: p value of the search that has led to this candidate; the larger one counts.
    """
    held = judged.held
    r2, sd = held.share(seed), held.sd_nats(seed)
    p = max(sign_flip_p(held.flips, deciding.draws, seed), chance)
    found = (
        r2 is not None
        and sd is not None
        and r2.value >= deciding.min_r2
        and sd.value >= deciding.min_sd_nats
        and p < deciding.max_p
    )
    names = judged.evidence.catalogue.terms
    return Candidate(
        kind=judged.kind,
        condition=judged.condition,
        terms=tuple(names[column - 1] for column in judged.columns if column),
        r2=r2,
        sd_nats=sd,
        p_value=p,
        explained_squares=float(held.gains.sum()),
        found=found,
        objectives=tuple(_objectives(judged, seed)),
    )


def terms_candidate(evidence: Evidence, chosen: Sequence[Codes], whole: Codes) -> Judged:
    """A few terms, beyond what length alone explains; `chosen` fold by fold."""
    held = hold_out(evidence, [LENGTH] * len(chosen), chosen)
    return Judged("term", evidence, held, whole, LENGTH, evidence.y)


def length_candidate(evidence: Evidence, beside: Sequence[Codes], whole: Codes) -> Judged:
    """Length, alone or beyond terms (`beside`, fold by fold, and by all prompts together)."""
    held = hold_out(evidence, beside, [LENGTH] * len(beside))
    return Judged("length", evidence, held, LENGTH, whole, evidence.y)


def length_alone(evidence: Evidence) -> Judged:
    """Length without anything beside it."""
    return length_candidate(evidence, [NOTHING] * len(evidence.folds), NOTHING)


def _objectives(judged: Judged, seed: int) -> list[Objective]:
    """One for what is paid and one for what is charged."""
    columns, held = judged.columns, judged.held
    design = judged.evidence.design
    solution = solve(design.columns(np.concatenate([columns, judged.beside])), judged.left)
    weights = solution.weights[: len(columns)]
    draws = bootstrap_weights(solution, judged.evidence.fitting.bootstrap_draws, seed)
    counts = np.asarray(design.features[:, columns].sum(0)).ravel()
    objectives = []
    for part, members in ((held.charged, weights < 0), (held.paid, weights > 0)):
        if not members.any() or _carried(part, held) < MIN_GROUP_SHARE:
            continue
        shares = counts * members / (counts * members).sum()
        weight = percentile_estimate(
            float(shares @ weights), draws[:, : len(columns)] @ shares, len(solution.influence)
        )
        assert weight is not None
        objectives.append(
            Objective(
                kind=judged.kind,
                condition=judged.condition,
                terms=[
                    judged.evidence.catalogue.terms[column - 1]
                    for column in columns[members]
                    if column
                ],
                weight=weight,
                explained_sd_nats=explained_sd_nats(part, held.prompt, seed),
            )
        )
    return sorted(objectives, key=lambda one: -(one.explained_sd_nats or one.weight).value)


def _carried(part: Array, held: HeldOut) -> float:
    """The share of a part in what the candidate explains."""
    left = held.y - held.full + held.own
    together = float(held.own @ left)
    return float(part @ left) / together if together > 0 else 0.0
