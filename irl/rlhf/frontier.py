"""The most reward that any policy has at a KL: the reference, reweighted.

Of all policies with KL(policy || reference) <= k, pi ~ reference exp(R / lambda) has the highest
mean of R, for the lambda at which its KL is k (2205.11275). With N answers of the reference to a
prompt,

    w = softmax(R / lambda)    gain = sum w R - mean R    KL = sum w ln(N w)

which is exact where the answers are all there are, and too low in both else: weights of one answer
cannot exceed KL ln N. Means over prompts, each tilted by the same lambda.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irl.errors import InputError

Array = NDArray[np.float64]
MANY = 5
"Best answers to a prompt, on average, from which their reward is taken for the highest there is"
_LAMBDAS = np.geomspace(1e-2, 1e3, 240)
"In standard deviations of R within prompts"


@dataclass(frozen=True)
class Frontier:
    """Gains at KLs, both rising from 0."""

    kl_nats: Array
    gain: Array
    saturated: bool
    "whether the best answers are many: then more KL than the last brings no more"

    def at(self, kl_nats: float) -> float:
        """The highest gain at a KL.

        Raises:
            InputError: the answers do not reach so far.
        """
        if kl_nats < 0 or (kl_nats > self.kl_nats[-1] and not self.saturated):
            raise InputError(
                f"The answers tell the frontier up to {self.kl_nats[-1]:.2f} nats, not at "
                f"{kl_nats:.2f}; draw more."
            )
        return float(np.interp(kl_nats, self.kl_nats, self.gain))

    def share(self, gain: float, kl_nats: float) -> float | None:
        """What a policy gains, over the highest gain at its KL: compares policies at equal KL.

        None where the answers do not reach so far, or the policy has no KL to speak of.
        """
        try:
            highest = self.at(kl_nats)
        except InputError:
            return None
        return gain / highest if highest > 0 else None


def frontier(reward: Sequence[Array]) -> Frontier:
    """The frontier from the reference's answers.

    Args:
        reward: of its answers to each prompt.

    Raises:
        InputError: no prompt has answers that the reward tells apart.
    """
    spread = float(np.sqrt(np.mean([values.var() for values in reward])))
    if not spread > 0:
        raise InputError("The reward tells no two answers to one prompt apart.")
    points = [(0.0, 0.0)]
    for scale in sorted(_LAMBDAS * spread, reverse=True):
        each = np.array([_tilted(values, scale) for values in reward])
        points.append(tuple(each.mean(0)))
    kl, gain = np.array(points).T
    best = np.mean([(values == values.max()).sum() for values in reward])
    rising = np.maximum.accumulate
    return Frontier(rising(kl), rising(gain), saturated=bool(best >= MANY))


def _tilted(values: Array, scale: float) -> tuple[float, float]:
    """KL and gain of one prompt's reweighted answers."""
    weights = np.exp((values - values.max()) / scale)
    weights /= weights.sum()
    held = weights[weights > 0]
    return float(held @ np.log(held * len(values))), float(weights @ values - values.mean())
