"""When a policy stops gaining what its reward means: figures of a look, and warnings.

    gold-falls        gold is below its peak while the reward still rises
    members-fall      the lowest quarter of the members is below its peak while the reward rises
    out-of-range      the reward gained more than RANGE standard deviations of the reference's
                      answers
    members-apart     the lowest quarter of the members gained less than FOLLOWING of what the
                      reward did
    length-drift      answers are less than half or more than twice as long as the reference's
    entropy-collapse  answers hold less than a quarter of the reference's entropy

The first two are over-optimisation as it happens (2210.10760), told from chance by drawing prompts
again; the peak is the highest of many looks, so a fall must hold in 99.5 % of the draws. Members
see their own errors only where they do not share them (2312.09244): a quiet ensemble proves
nothing. The third comes before the fall: a reward is fitted to answers that the reference gives,
and beyond the range of their scores it extrapolates. So does the fourth, where members that saw the
same preferences do not follow. The last two say that answers are of another kind. Limits were
chosen on seeds 0 to 9 of docs/recipes/over-optimisation.yaml;
docs/results/over-optimisation.md says of others how often a warning comes in time or in vain.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irl.bootstrap import DRAWS, crossed_mean, draw_counts, percentile_estimate
from irl.errors import InputError
from irl.records import AlignStep, Estimate
from irl.rlhf.watch import Baseline, Look

Array = NDArray[np.float64]
LOWER = 0.25
"Quantile over members"
RANGE = 4.0
"Standard deviations of the reward over the reference's answers to one prompt"
FOLLOWING, STARTED = 0.75, 0.3
"Of what the reward gained, once that is more than so many standard deviations"
LENGTH, ENTROPY = 2.0, 0.25
_SURE = 0.995
"Share of draws in which a fall must hold"
OfLook = Callable[[Look, Array], Array]
"(look, draws of prompts [draw, prompt]) to values [draw]"


@dataclass(frozen=True)
class Warned:
    """One warning, at the step at which it was first true."""

    step: int
    code: str
    text: str


def warned(looks: Sequence[Look], baseline: Baseline, seed: int = 0) -> list[Warned]:
    """What is to be warned of after the last look."""
    step = looks[-1].step
    return [Warned(step, code, text) for code, text in _said(looks, baseline, seed)]


def _said(looks: Sequence[Look], baseline: Baseline, seed: int) -> Iterator[tuple[str, str]]:
    now = looks[-1]
    gained, length = float(now.proxy.mean()), float(now.length_tokens.mean())
    if now.gold is not None and (peak := _fell(looks, _gold, seed)) is not None:
        yield "gold-falls", f"Gold was higher at step {peak}, though the reward has risen since."
    if len(now.members) > 1 and (peak := _fell(looks, _lower, seed)) is not None:
        yield (
            "members-fall",
            f"The lowest quarter of the members was higher at step {peak}, though the reward has "
            "risen since.",
        )
    if gained > RANGE * baseline.proxy_sd:
        yield (
            "out-of-range",
            f"The reward gained {gained / baseline.proxy_sd:.1f} standard deviations of the "
            "reference's answers; there it was fitted to nothing.",
        )
    if len(now.members) > 1 and gained > STARTED * baseline.proxy_sd:
        follows = float(_lower(now, np.ones((1, len(now.proxy))))[0]) / gained
        if follows < FOLLOWING:
            yield (
                "members-apart",
                f"The lowest quarter of the members gained {follows:.0%} of what the reward did.",
            )
    ratio = length / baseline.length_tokens
    if not 1 / LENGTH <= ratio <= LENGTH:
        yield "length-drift", f"Answers are {ratio:.2f} times as long as the reference's."
    share = float(now.entropy_nats.mean()) / baseline.entropy_nats
    if share < ENTROPY:
        yield "entropy-collapse", f"Answers hold {share:.0%} of the reference's entropy."


def _fell(looks: Sequence[Look], of: OfLook, seed: int) -> int | None:
    """The step of the peak, where the last look lies surely below it though the reward rose."""
    now = looks[-1]
    n = len(now.proxy)
    once, drawn = np.ones((1, n)), draw_counts(n, DRAWS, seed)
    peak = max(looks, key=lambda look: float(of(look, once)[0]))
    if peak is now or now.proxy.mean() <= peak.proxy.mean():
        return None
    below = float((of(now, drawn) < of(peak, drawn)).mean())
    return peak.step if below >= _SURE else None


def _gold(look: Look, draws: Array) -> Array:
    assert look.gold is not None
    means: Array = draws @ look.gold / draws.sum(1)
    return means


def _of_members(look: Look, draws: Array) -> Array:
    """Mean gains, [draw, member]."""
    means: Array = draws @ look.members.T / draws.sum(1, keepdims=True)
    return means


def _lower(look: Look, draws: Array) -> Array:
    """The lower quantile over members of their mean gains."""
    result: Array = np.quantile(_of_members(look, draws), LOWER, axis=1)
    return result


def step_of(look: Look, baseline: Baseline, codes: list[str], seed: int = 0) -> AlignStep:
    """A look as figures with intervals over prompts."""
    several = len(look.members) > 1
    return AlignStep(
        step=look.step,
        proxy=mean_of_prompts(look.proxy, seed),
        lower=_estimate(look, _lower, seed) if several else None,
        disagreement=_estimate(look, _spread, seed) if several else None,
        gold=None if look.gold is None else mean_of_prompts(look.gold, seed),
        kl_nats=mean_of_prompts(look.kl_nats, seed),
        entropy_nats=mean_of_prompts(look.entropy_nats, seed),
        length_tokens=mean_of_prompts(look.length_tokens, seed),
        reference_length_tokens=baseline.length_tokens,
        warnings=codes,
    )


def _spread(look: Look, draws: Array) -> Array:
    """The standard deviation over members of their mean gains (ddof 1)."""
    result: Array = _of_members(look, draws).std(axis=1, ddof=1)
    return result


def mean_of_prompts(values: Array, seed: int = 0) -> Estimate:
    """A mean over watched prompts.

    Raises:
        InputError: there is only one.
    """
    estimate = crossed_mean(values, seed)
    if estimate is None:
        raise InputError("Intervals over prompts need at least two prompts.")
    return estimate


def _estimate(look: Look, of: OfLook, seed: int) -> Estimate | None:
    n = len(look.proxy)
    value = float(of(look, np.ones((1, n)))[0])
    return percentile_estimate(value, of(look, draw_counts(n, DRAWS, seed)), n)
