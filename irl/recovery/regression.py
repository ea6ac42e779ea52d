"""Regression on the summed log-ratio of answers, where both policies are at hand.

At a KL-regularised optimum log pi_A(y|x)/pi_R(y|x) = (R(x, y) - c(x)) / beta (2305.18290), with no
noise at all: what a reward form can express is met exactly. On pairs that were trained otherwise it
recovers what the policies reveal, which need not be what was rewarded.

Without the reference, the aligned policy's logits can be taken for soft Q-values (2506.23235):

    r(s, a) = alpha log pi(a|s) + V(s) - V(s'),   V(s) = alpha logsumexp(logits / alpha)

With V(end) = 0 it sums to alpha log pi(y|x) + V(x) over an answer, and V(x) is a constant of the
prompt: within prompts it orders answers by their probability, so what the reference preferred is
part of the reward. V of single tokens is a convention of the network, not pinned by any training.
"""

from dataclasses import replace

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


def by_reference_free(examples: Examples, form: Form, learning: Learning) -> Fitted:
    """Least squares within prompts on log pi(y|x) of the aligned policy alone (alpha 1).

    Raises:
        InputError: the examples carry no log-probabilities.
    """
    if examples.log_policy is None:
        raise InputError(
            "The reference-free method reads the aligned policy; from samples alone, use "
            "bradley-terry or max-entropy."
        )
    return fit(replace(examples, targets=examples.log_policy), form, Aim(squares), learning)


def squares(batch: Batch, scores: Sides) -> Losses:
    """Squared distance to the targets, centred within prompts."""
    assert batch.wanted is not None
    return log_ratio(scores, batch.wanted)
