"""Regression on the summed log-ratio of answers, where both policies are at hand.

At a KL-regularised optimum log pi_A(y|x)/pi_R(y|x) = (R(x, y) - c(x)) / beta (2305.18290), with no
noise at all: what a reward form can express is met exactly. On pairs that were trained otherwise it
recovers what the policies reveal, which need not be what was rewarded.

`reference_free` reads the aligned policy alone, taking its logits for soft Q-values (2506.23235):

    r(s, a) = alpha log pi(a|s) + V(s) - V(s'),   V(s) = alpha logsumexp(logits(s) / alpha)

whose sum over an answer is alpha log pi(y|x) + V(first) - V(last). What the reference preferred is
thus part of the reward. Logits are known up to a constant of each state only; training does not pin
it, so V is a convention of the network and no fact about its reward.
"""

from dataclasses import replace

from jaxtyping import Float
from torch import Tensor

from irl.config import Learning
from irl.errors import InputError
from irl.losses import Losses, Sides, log_ratio
from irl.recovery.examples import Batch, Examples
from irl.recovery.fit import Aim, Fitted, fit
from irl.rewards.heads import Form


def by_log_ratio(examples: Examples, form: Form, learning: Learning) -> Fitted:
    """Least squares within prompts on the targets, the log-ratios.

    Raises:
        InputError: the examples carry no targets.
    """
    if examples.targets is None:
        raise InputError(
            "Regression on log-ratios needs both policies; from samples alone, use bradley-terry "
            "or max-entropy."
        )
    return fit(examples, form, Aim(squares), learning)


def reference_free_targets(
    log_policy: Float[Tensor, " row"],
    first: Float[Tensor, " row"],
    last: Float[Tensor, " row"],
    alpha: float = 1.0,
) -> Float[Tensor, " row"]:
    """The summed reward of each answer by the aligned policy's logits alone.

    Args:
        log_policy: alpha = 1 log-probability of the answer, nats.
        first: V before its first token.
        last: V after its last token.
        alpha: the temperature that the logits are taken at.
    """
    return alpha * log_policy + first - last


def squares(batch: Batch, scores: Sides) -> Losses:
    """Squared distance to the targets, centred within prompts."""
    assert batch.wanted is not None
    return log_ratio(scores, batch.wanted)


def with_targets(examples: Examples, targets: Float[Tensor, " row"]) -> Examples:
    """The same answers with other targets."""
    return replace(examples, targets=targets)
