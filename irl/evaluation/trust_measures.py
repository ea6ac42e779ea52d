"""All that is measured of a policy's responses, for every prompt or for a group of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irl.bootstrap import share
from irl.errors import InputError
from irl.evaluation.pair_figures import mean_of
from irl.evaluation.quarters import quarters
from irl.evaluation.trust import (
    Limits,
    Uncertainty,
    as_detected,
    effective_share,
    lamp,
    share_beyond,
    signals,
    worse,
)
from irl.records import Estimate
from irl.records.trust import Colour, Signal, TrustGroup, TrustMeasures
from irl.rewards.words import words

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
MOST_TYPES = 12


@dataclass(frozen=True)
class Judged:
    """Answers of one policy: arrays have one entry per answer."""

    prompt: Codes
    reward: Array
    "the mean of the members"
    n_words: Array
    log_ratio: Array | None
    "ln policy - ln data, nats; None where the policy is not known"


@dataclass(frozen=True)
class Seen:
    """What was seen of a policy, and of the data's policy on the same prompts."""

    ours: Judged
    theirs: Judged
    said: Uncertainty
    "of the policy's responses"
    distance: Array
    "of the policy's responses, in units of the mean of held-out answers"


def measured(
    seen: Seen, limits: Limits, at: NDArray[np.bool_] | None = None, seed: int = 0
) -> TrustMeasures:
    """All measures.

    Args:
        seen: what was seen.
        limits: of the reward.
        at: which prompts, by number; None takes all.
        seed: of the bootstraps.
    """
    ours, theirs = seen.ours, seen.theirs
    here = slice(None) if at is None else at[ours.prompt]
    there = slice(None) if at is None else at[theirs.prompt]
    prompt, near = ours.prompt[here], seen.said.of_pairs[here]
    ratio, weights = ours.log_ratio, theirs.log_ratio
    found = None if weights is None else effective_share(weights[there], theirs.prompt[there], seed)
    sd = float(theirs.reward.std()) or 1.0
    distance = seen.distance[here]
    return TrustMeasures(
        responses=len(prompt),
        prompts=len(np.unique(prompt)),
        kl_nats=None if ratio is None else mean_of(ratio[here], prompt, seed),
        effective_share=found,
        effective_answers=None if found is None else found.value * limits.fitted_answers,
        epistemic=mean_of(seen.said.epistemic[here], prompt, seed),
        aleatoric=mean_of(seen.said.aleatoric[here], prompt, seed),
        spread=mean_of(seen.said.spread[here], prompt, seed),
        unsettled=share(
            share_beyond(near.ravel(), limits.spread, np.repeat(prompt, near.shape[1]), seed)
        ),
        distance=mean_of(distance, prompt, seed),
        beyond=share(share_beyond(distance, limits.distance, prompt, seed)),
        reward_gain=_gain(
            ours.reward[here], theirs.reward[there], prompt, theirs.prompt[there], sd
        ),
        length_gain=_gain(ours.n_words[here], theirs.n_words[there], prompt, theirs.prompt[there]),
    )


@dataclass(frozen=True)
class Judgement:
    """What measures are held to."""

    limits: Limits
    "of the reward"
    accuracy: Estimate | None
    "of the reward on its held-out pairs"
    auc: Estimate | None
    "of distance on what was planted for it"

    def signals(self, measures: TrustMeasures) -> list[Signal]:
        """Some measures in their bands."""
        return as_detected(signals(measures, self.limits, self.accuracy), self.auc)

    def colour(self, measures: TrustMeasures) -> Colour:
        """The light of some measures."""
        return lamp(self.signals(measures)).colour


def grouped(
    seen: Seen, judged: Judgement, groups: Sequence[str], seed: int = 0
) -> list[TrustGroup]:
    """The same of each group of prompts; none where all are in one.

    Args:
        seen: what was seen.
        judged: what the measures are held to.
        groups: the name of each prompt's group.
        seed: of the bootstraps.
    """
    names = list(dict.fromkeys(groups))
    if len(names) < 2:
        return []
    found = []
    for name in names:
        at = np.array([one == name for one in groups])
        if not at[seen.ours.prompt].any():
            continue
        measures = measured(seen, judged.limits, at, seed)
        colour = judged.colour(measures)
        found.append(TrustGroup(group=name, measures=measures, colour=colour))
    return found


def at_best(groups: Sequence[TrustGroup], colour: Colour) -> list[TrustGroup]:
    """The groups, none with a better light than this."""
    return [one.model_copy(update={"colour": worse(one.colour, colour)}) for one in groups]


def groups_of(prompts: Sequence[str], types: Sequence[str | None]) -> list[str]:
    """The group of each prompt: its type where any has one, else its quarter by length in words.

    Raises:
        InputError: there are not as many types as prompts.
    """
    if len(prompts) != len(types):
        raise InputError(f"{len(prompts)} prompts and {len(types)} types do not go together.")
    if any(types):
        named = [one or "no type" for one in types]
        common = sorted(set(named), key=lambda name: (-named.count(name), name))[:MOST_TYPES]
        return [name if name in common else "others" for name in named]
    names, group = quarters([len(words(prompt)) for prompt in prompts])
    return [names[at] for at in group]


def _gain(
    ours: Array, theirs: Array, prompt: Codes, their_prompt: Codes, unit: float = 1.0
) -> Estimate | None:
    """Mean over prompts of the difference of their means."""
    numbers = np.unique(prompt)
    gains = [ours[prompt == one].mean() - theirs[their_prompt == one].mean() for one in numbers]
    return mean_of(np.array(gains) / unit, numbers)
