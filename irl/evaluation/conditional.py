"""Is something paid only in answers to some prompts?

1. Screen all conditions (irl/evaluation/conditions.py) and keep those that leave most unexplained.
2. Under each: what do at most ten terms explain beyond length and beyond the model of all other
   prompts? Chosen and fitted on the other folds. What pays everywhere is thus explained before.
3. A condition is real if the same terms do not pay elsewhere: the slope of the returns on what it
   predicts outside is below half of the slope inside, by the bootstrap over prompts.
4. Of the real ones, the one that explains most over all prompts: a type beats a word that only part
   of its prompts have, a trigger word beats a type that merely contains it. Where a type does not
   explain clearly less than the best word, the type is named.

Not identified: where the terms hardly occur outside the condition, nothing tells whether they would
pay there, so that condition is not called real.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from irl.bootstrap import from_sums
from irl.config import Deciding
from irl.evaluation.candidates import Candidate, Judged, judge
from irl.evaluation.conditions import PromptSet, Screening, candidate_conditions
from irl.evaluation.held_out import LENGTH, Evidence, HeldOut, dense, fitted, hold_out
from irl.recovery.forward import forward
from irl.recovery.log_ratio import Selection
from irl.rewards.conditions import TypedPrompt

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]
MAX_SCREENED = 8
MAX_SLOPE_ELSEWHERE = 0.5


@dataclass(frozen=True)
class Conditional:
    """What holds only where the prompt meets a condition."""

    where: PromptSet
    judged: Judged
    real: bool
    gains: Array
    "explained squares of each prompt, squared nats; 0 where the condition does not apply"


def search_conditions(
    evidence: Evidence,
    prompts: Sequence[TypedPrompt],
    selections: Sequence[Selection],
    whole: Selection,
    deciding: Deciding,
    seed: int,
) -> tuple[list[Candidate], PromptSet | None]:
    """Judge the most promising conditions.

    Args:
        evidence: all responses.
        prompts: by prompt number.
        selections: what all prompts outside each fold choose.
        whole: what all prompts choose.
        deciding: the thresholds.
        seed: of bootstrap and sign flips.

    Returns:
        All that were judged, and the condition of the one that was found, if one was.
    """
    sets = [one for one in candidate_conditions(prompts) if _can_be_held_out(evidence, one)]
    if not sets or not evidence.folds:
        return [], None
    fitting = evidence.fitting
    residuals = evidence.y - evidence.design.columns(whole.columns).predict(whole.solution.weights)
    words = np.arange(1, 1 + evidence.catalogue.n_words)
    screening = Screening.of(
        evidence.design.columns(words), residuals, max(fitting.min_responses // 2, 2)
    )
    tried = [
        _under(evidence, one, selections, whole, deciding, seed)
        for one in screening.strongest(sets, MAX_SCREENED)
    ]
    best = _best([one for one in tried if one.real and one.gains.sum() > 0], seed)
    candidates: list[Candidate] = []
    for one in tried:
        if one is best:
            chance = screening.chance(one.where, sets, seed)
            candidates.insert(0, judge(one.judged, deciding, seed, chance))
        else:
            candidates.append(replace(judge(one.judged, deciding, seed), found=False))
    found = best is not None and candidates[0].found
    return candidates, best.where if best is not None and found else None


def _can_be_held_out(evidence: Evidence, where: PromptSet) -> bool:
    return len(np.unique(evidence.fold[where.mask[evidence.prompt]])) > 1


def _under(
    evidence: Evidence,
    where: PromptSet,
    selections: Sequence[Selection],
    whole: Selection,
    deciding: Deciding,
    seed: int,
) -> Conditional:
    here = where.mask[evidence.prompt]
    inside = evidence.rows(here)
    offered = _offered(inside)
    offsets, chosen = [], []
    for fold, selection in zip(evidence.folds, selections, strict=True):
        offset = _elsewhere(evidence, selection, ~here & ~fold)[here]
        known = ~fold[here]
        part = inside.rows(known)
        chosen.append(
            forward(part.design, part.y - offset[known], offered, deciding.max_terms)
            if known.any()
            else offered[:0]
        )
        offsets.append(offset)
    held = hold_out(inside, [LENGTH] * len(chosen), chosen, offsets)
    left = inside.y - _elsewhere(evidence, whole, ~here)[here]
    columns = forward(inside.design, left, offered, deciding.max_terms)
    judged = Judged("conditional", inside, held, columns, LENGTH, left, where.condition)
    gains = np.zeros(len(where.mask))
    np.add.at(gains, evidence.prompt[here], held.gains)
    return Conditional(where, judged, _is_real(evidence, here, held, chosen, seed), gains)


def _offered(inside: Evidence) -> Codes:
    """Single words that stand in enough responses under the condition."""
    words = np.arange(1, 1 + inside.catalogue.n_words)
    n = np.asarray((inside.design.features[:, words] != 0).sum(0)).ravel()
    offered: Codes = words[n >= inside.fitting.min_responses]
    return offered


def _elsewhere(evidence: Evidence, selection: Selection, rows: Mask) -> Array:
    """What a model fitted to some of the responses predicts for all."""
    if not rows.any():
        return np.zeros(len(rows))
    columns = np.union1d(selection.columns, LENGTH)
    features = dense(evidence.design, columns)
    prediction: Array = features @ fitted(features[rows], evidence.y[rows])
    return prediction


def _is_real(
    evidence: Evidence, here: Mask, held: HeldOut, chosen: Sequence[Codes], seed: int
) -> bool:
    """Whether what is predicted under the condition does not come true elsewhere."""
    predicted = np.zeros(len(here))
    for fold, columns, weights in zip(evidence.folds, chosen, held.weights, strict=True):
        rows = fold & ~here
        predicted[rows] = dense(evidence.design, columns)[rows] @ weights
    predicted[here] = held.own
    products = np.stack([predicted * evidence.y, predicted**2], axis=1)
    apart = np.concatenate([products * here[:, None], products * ~here[:, None]], axis=1)
    estimate = from_sums(apart, evidence.prompt, _slope_elsewhere, seed=seed)
    return estimate is not None and estimate.high < 0


def _slope_elsewhere(sums: Array) -> Array:
    inside, outside = sums[:, 0] / sums[:, 1], sums[:, 2] / sums[:, 3]
    slope: Array = outside - MAX_SLOPE_ELSEWHERE * inside
    return slope


def _best(real: Sequence[Conditional], seed: int) -> Conditional | None:
    """The one that explains most; a type, unless it explains clearly less."""
    if not real:
        return None
    best = max(real, key=lambda one: float(one.gains.sum()))
    types = [one for one in real if one.where.condition.prompt_type is not None]
    for one in sorted(types, key=lambda one: -float(one.gains.sum())):
        more = best.gains - one.gains
        difference = from_sums(
            more[:, None], np.arange(len(more)), lambda sums: sums[:, 0], seed=seed
        )
        if difference is None or difference.low <= 0:
            return one
    return best
