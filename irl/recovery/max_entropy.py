"""Maximum entropy: the reward under which the aligned policy's answers are likeliest.

The model is P(y|x) = pi_ref(y|x) exp(r(x, y)) / Z(x); the partition function is the mean of exp(r)
over the reference's answers, so the gradient of the log-likelihood is

    E_aligned[grad r] - sum_j w_j grad r(b_j),   w = softmax(r(b))

(Ziebart 2008, with importance weights as in guided cost learning, 1603.00448). A reward that moves
far puts all weight on one answer to each prompt: see `irl.losses.effective_share`. The log of a
mean over few answers is too low on average, so the scale overshoots where there are few. Where the
log-ratios are known, the answers of both policies estimate Z instead (`irl.losses.pooled`).

Not identified: c(x).
"""

from irl.config import Learning
from irl.losses import Losses, Sides, max_entropy
from irl.recovery.examples import Batch, Examples
from irl.recovery.fit import Aim, Fitted, fit
from irl.rewards.heads import Form


def by_likelihood(examples: Examples, form: Form, learning: Learning) -> Fitted:
    """Maximum likelihood; Z from the reference's answers, or from all where targets are given."""
    return fit(examples, form, Aim(_surprise), learning)


def _surprise(batch: Batch, scores: Sides) -> Losses:
    return max_entropy(scores, batch.wanted)
