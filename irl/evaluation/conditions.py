"""Which conditions on the prompt may matter: candidates, and a first look at all of them at once.

A condition is a type of prompt, or a word of prompts. With e the residuals of the unconditional
model and x_t the centred count of term t, prompt g pulls by U[g, t] = sum_{i in g} x_it e_i. What
term t could still explain if it were priced anew where condition c applies, even if the prompt that
pulls hardest did not pull, is

    S[c, t] = max(|sum_{g in c} U[g, t]| - max_{g in c} |U[g, t]|, 0)^2 / sum_{g in c} Q[g, t]

with Q[g, t] = sum_{i in g} x_it^2: one answer gone astray must not put the conditions that its
prompt happens to meet before all others. A condition is worth the sum S[c] of its ten largest, for
what is paid under it may be one word, or a family of words that are each too weak. Signs of whole
prompts leave Q and |U| as they are, so flipping them tells how large the largest S of all would be
by chance: that counts every condition and every term that was tried.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import diags

from irl.evaluation.sign_flips import draw_signs
from irl.records import PromptCondition
from irl.recovery.least_squares import Design
from irl.rewards.conditions import TypedPrompt
from irl.rewards.words import words

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
MIN_PROMPTS = 8
MIN_SHARE, MAX_SHARE = 0.02, 0.6
"Of the prompts: rarer conditions cannot be judged, wider ones are no condition"
MAX_TERMS = 10
"Terms that count for a condition; an objective names no more"
FAMILY_DRAWS = 999


@dataclass(frozen=True)
class PromptSet:
    """The prompts that meet a condition."""

    condition: PromptCondition
    mask: Mask
    "[prompt]"


def candidate_conditions(prompts: Sequence[TypedPrompt]) -> list[PromptSet]:
    """Types, then words; of conditions that hold for the same prompts, the first."""
    types = sorted({prompt.type for prompt in prompts if prompt.type is not None})
    texts = [frozenset(words(prompt.text)) for prompt in prompts]
    spoken: dict[str, list[int]] = {}
    for number, text in enumerate(texts):
        for word in text:
            spoken.setdefault(word, []).append(number)
    least = max(MIN_PROMPTS, MIN_SHARE * len(prompts))
    sets = [
        PromptSet(PromptCondition(prompt_type=name), np.array([p.type == name for p in prompts]))
        for name in types
    ]
    for word in sorted(spoken):
        if len(spoken[word]) >= least:
            mask = np.zeros(len(prompts), dtype=bool)
            mask[spoken[word]] = True
            sets.append(PromptSet(PromptCondition(prompt_contains=word), mask))
    fit = [one for one in sets if least <= one.mask.sum() <= MAX_SHARE * len(prompts)]
    first: dict[bytes, PromptSet] = {}
    for one in fit:
        first.setdefault(one.mask.tobytes(), one)
    return list(first.values())


@dataclass(frozen=True)
class Screening:
    """The first look at all conditions."""

    pulls: Array
    "U, [prompt, term]"
    squares: Array
    "Q, [prompt, term]"
    responses: Array
    "in how many responses of a prompt the term stands, [prompt, term]"
    min_responses: int
    "a term is priced under a condition if it stands in so many responses there"

    @classmethod
    def of(cls, design: Design, residuals: Array, min_responses: int) -> "Screening":
        """Look at features with what an unconditional model leaves of the returns."""
        indicator, features = design.indicator, design.features
        sizes = np.bincount(design.group)[:, None]
        sums = np.asarray((indicator @ features).todense())
        raw = np.asarray((indicator @ features.multiply(features).tocsr()).todense())
        pulls = np.asarray((indicator @ diags(residuals) @ features).todense())
        responses = np.asarray((indicator @ (features != 0).astype(float)).todense())
        return cls(pulls, raw - sums**2 / sizes, responses, min_responses)

    def worth(self, one: PromptSet, signs: Array | None = None) -> Array:
        """S of one condition under each draw of signs, [draw]; as observed: [1]."""
        if signs is None:
            signs = np.ones((1, len(one.mask)))
        usable = self.responses[one.mask].sum(0) >= self.min_responses
        squares = self.squares[one.mask].sum(0)
        usable &= squares > 0
        pulls = self.pulls[np.ix_(one.mask, usable)]
        drawn = np.abs(signs[:, one.mask] @ pulls) - np.abs(pulls).max(0, initial=0.0)
        each = drawn.clip(min=0) ** 2 / squares[usable]
        if each.shape[1] > MAX_TERMS:
            each = np.partition(each, -MAX_TERMS, axis=1)[:, -MAX_TERMS:]
        result: Array = each.sum(1)
        return result

    def strongest(self, sets: Sequence[PromptSet], most: int) -> list[PromptSet]:
        """The conditions with the largest S."""
        scores = np.array([self.worth(one)[0] for one in sets])
        return [sets[at] for at in np.argsort(-scores, kind="stable")[:most]]

    def chance(self, chosen: PromptSet, sets: Sequence[PromptSet], seed: int) -> float:
        """Probability that the largest S of any condition is as large by chance."""
        observed = self.worth(chosen)[0]
        as_large = 0
        for signs in draw_signs(FAMILY_DRAWS, len(chosen.mask), seed):
            highest = np.max([self.worth(one, signs) for one in sets], axis=0)
            as_large += int((highest >= observed * (1 - 1e-9)).sum())
        return (1 + as_large) / (1 + FAMILY_DRAWS)
