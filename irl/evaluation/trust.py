"""May one reward be believed on one policy? Measures with intervals, their bands, and a lamp.

    KL          mean of ln policy(y) - ln data(y) over answers of the policy
    ESS share   (sum w)^2 / (n sum w^2), w = policy(y) / data(y), over n answers of the data's
                policy to all prompts together, in log space; 1 for equal policies, at least 1 / n.
                In the limit it is 1 / E[w^2], which is at most exp(-KL); few answers flatter it
    P_m(y, z)   sigmoid(a (s_m(y) - s_m(z))): member m on a response and an answer z of the data's
                policy to the same prompt; one a for all, by likelihood on held-out pairs
    epistemic   variance of P_m over members, ddof 0       aleatoric   mean of P_m (1 - P_m)
    spread      variance of s_m(y) - s_m(z) over members, ddof 0

Epistemic and aleatoric variance add up to P (1 - P) of the mean P. Far from the data P is 0 or 1
for all members and both vanish; the spread of the scores themselves does not, and has the band. All
of it is a function of differences within a prompt, so a member's constant of a prompt changes
nothing; and of standardised members, so neither does a member's scale.

Bands. KL and ESS are told in answers: of n that the reward was fitted to, n exp(-KL), or n times
the ESS share, speak of the policy. Green takes 100 of either; fewer than 10 by KL, which flatters,
or fewer than 1 by ESS are red. Distance and variance are told by the share of responses (or of
their comparisons) beyond 95 % of held-out ones, which is 5 % where nothing has changed. The lamp is
the worst of all; what is not known is never green, so that variance alone never is (2311.14110 asks
variance alone; it misses a policy that collapsed where members agree). Nor is distance where it
does not tell what is planted for it: embeddings may hardly see that a text is broken.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from irl.bootstrap import from_sums
from irl.errors import InputError
from irl.evaluation.pair_figures import mean_of
from irl.records import Estimate
from irl.records.trust import Colour, Lamp, Signal, TrustMeasures

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
ENOUGH_ANSWERS: Final = 100
"In effect; with fewer every figure of a reward is coarse"
FEW_ANSWERS: Final = 10
LEAST_ANSWERS: Final = 1
LEVEL: Final = 0.95
"Quantile of held-out answers and pairs beyond which one is unlike them"
TWICE: Final = 2 * (1 - LEVEL)
"Share beyond from which it is not green: twice what held-out ones have"
MOSTLY: Final = 0.5
"Share beyond from which it is red"
TELLS: Final = 0.7
"AUC of distance on planted texts, low end of its interval, below which it is never green"
_RANK: Final[dict[Colour, int]] = {"green": 0, "amber": 1, "red": 2}


@dataclass(frozen=True)
class Uncertainty:
    """What members say of responses, each against answers to the same prompt; [response]."""

    probability: Array
    "mean over members and answers that the response is better"
    epistemic: Array
    aleatoric: Array
    spread: Array
    of_pairs: Array
    "spread of every comparison, [response, answer]; NaN where there is none"


@dataclass(frozen=True)
class Limits:
    """Where held-out answers and pairs end: what is further is unlike them."""

    fitted_answers: int
    spread: float
    distance: float


def effective_share(log_weights: Array, cluster: Codes, seed: int = 0) -> Estimate | None:
    """ESS / n of importance weights; None where no answer has any weight.

    Args:
        log_weights: ln policy - ln data of answers of the data's policy.
        cluster: prompt number of each.
        seed: of the bootstrap.
    """
    if not len(log_weights) or not np.isfinite(log_weights.max()):
        return None
    w = np.exp(log_weights - log_weights.max())
    columns = np.stack([w, w * w, np.ones_like(w)], axis=1)
    numbers = np.unique(cluster, return_inverse=True)[1]
    return from_sums(columns, numbers, _share_of_sums, seed=seed)


def _share_of_sums(sums: Array) -> Array:
    first, second, n = np.moveaxis(sums, -1, 0)
    share: Array = first**2 / (n * second)
    return share


def uncertainty(
    scores: Array, answers: Array, prompt: Codes, scale: float, *, own: bool = False
) -> Uncertainty:
    """Members on responses against the data policy's answers to the same prompt.

    Args:
        scores: standardised, [member, response].
        answers: of the data's policy, [member, prompt, answer].
        prompt: prompt number of each response.
        scale: of the odds.
        own: the responses are these answers, in their order; each is held against the others.
    """
    margins = scores[:, :, None] - answers[:, prompt]
    if own:
        at = np.arange(scores.shape[1])
        margins[:, at, at % answers.shape[2]] = np.nan
    p = probability(margins, scale)
    of_pairs = spread(margins)
    return Uncertainty(
        probability=np.nanmean(p, axis=(0, 2)),
        epistemic=np.nanmean(p.var(0), axis=1),
        aleatoric=np.nanmean((p * (1 - p)).mean(0), axis=1),
        spread=np.nanmean(of_pairs, axis=1),
        of_pairs=of_pairs,
    )


def probability(margins: Array, scale: float) -> Array:
    """That the first of a pair is better, by each member."""
    result: Array = 1 / (1 + np.exp(-np.clip(scale * margins, -500, 500)))
    return result


def spread(margins: Array) -> Array:
    """Variance over members (ddof 0) of pairs' margins, [member, ...]."""
    result: Array = margins.var(0)
    return result


def limit_of(values: Array, level: float = LEVEL) -> float:
    """The quantile of held-out values.

    Raises:
        InputError: there are none.
    """
    if not len(values):
        raise InputError("No held-out answer can be measured, so nothing can be told from it.")
    return float(np.quantile(values, level))


def share_beyond(values: Array, limit: float, cluster: Codes, seed: int = 0) -> Estimate | None:
    """Share of values above a limit, NaN left out, with its interval over clusters."""
    known = np.isfinite(values)
    return mean_of((values[known] > limit).astype(float), cluster[known], seed)


def signals(measures: TrustMeasures, limits: Limits, accuracy: Estimate | None) -> list[Signal]:
    """Every measure in its bands; KL and effective sample size first.

    Args:
        measures: of the responses.
        limits: of the reward.
        accuracy: of the reward on its held-out pairs.
    """
    n = limits.fitted_answers
    enough, few = (float(np.log(max(n / least, 1))) for least in (ENOUGH_ANSWERS, FEW_ANSWERS))
    return [
        _signal("kl", measures.kl_nats, (enough, few), "high", "KL to the data, nats"),
        _signal(
            "effective-sample-size",
            measures.effective_share,
            (min(ENOUGH_ANSWERS / n, 1.0), min(LEAST_ANSWERS / n, 1.0)),
            "low",
            "effective share of the answers that it was fitted to",
        ),
        _signal(
            "distance",
            measures.beyond,
            (TWICE, MOSTLY),
            "high",
            "share of responses further from the data than 95 % of held-out answers",
        ),
        _signal(
            "spread",
            measures.unsettled,
            (TWICE, MOSTLY),
            "high",
            "share of comparisons on which members differ more than on 95 % of held-out pairs",
        ),
        _signal("accuracy", accuracy, (0.5, 0.5), "low", "accuracy on held-out pairs"),
    ]


def as_detected(given: Sequence[Signal], auc: Estimate | None) -> list[Signal]:
    """The signals, distance at best amber where it does not find what was planted for it.

    Args:
        given: the signals.
        auc: of distance on planted texts; None where nothing could be planted.
    """
    if auc is not None and auc.low >= TELLS:
        return list(given)
    found = "nothing could be planted" if auc is None else f"AUC {auc:.2g} on what was planted"
    blind = f"distance: not shown to find broken text here ({found}), so never green."
    return [
        one.model_copy(update={"colour": "amber", "reason": f"{one.reason} {blind}"})
        if one.name == "distance" and one.colour == "green"
        else one
        for one in given
    ]


def lamp(given: Sequence[Signal]) -> Lamp:
    """The worst of the signals, with the reasons of all that are not green."""
    worst = worse(*(one.colour for one in given))
    reasons = [one.reason for one in given if one.colour == worst and worst != "green"]
    reasons += [one.reason for one in given if one.colour not in ("green", worst)]
    return Lamp(colour=worst, reasons=reasons or [one.reason for one in given])


def worse(*colours: Colour) -> Colour:
    """The worst of some colours."""
    return max(colours, key=_RANK.__getitem__)


def _signal(
    name: str,
    value: Estimate | None,
    bands: tuple[float, float],
    worse: Literal["high", "low"],
    about: str,
) -> Signal:
    amber, red = bands
    colour = _colour(value, amber, red, worse)
    return Signal(
        name=name,
        value=value,
        amber=amber,
        red=red,
        worse=worse,
        colour=colour,
        reason=_reason(value, bands, colour, worse, about),
    )


def _colour(value: Estimate | None, amber: float, red: float, worse: str) -> Colour:
    if value is None:
        return "amber"
    sign = 1 if worse == "high" else -1
    end = value.high if worse == "high" else value.low
    if sign * value.value >= sign * red:
        return "red"
    return "green" if sign * end < sign * amber else "amber"


def _reason(
    value: Estimate | None, bands: tuple[float, float], colour: Colour, worse: str, about: str
) -> str:
    if value is None:
        return f"{about}: not known, so never green."
    side = "below" if worse == "high" else "above"
    told = f"{about}: {value:.3g}"
    if colour == "green":
        return f"{told}, {side} {bands[0]:.3g}."
    if colour == "amber":
        return f"{told}; green is {side} {bands[0]:.3g}, its whole interval."
    beyond = "above" if worse == "high" else "below"
    return f"{told}, {beyond} {bands[1]:.3g}."
