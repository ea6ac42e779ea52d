"""Maximum entropy: the reward under which the aligned policy's answers are likeliest.

The model is P(y|x) = pi_ref(y|x) exp(r(x, y)) / Z(x) (Ziebart 2008); the gradient of its negative
log-likelihood is

    sum over answers of w grad r - E_aligned[grad r],   w = importance weights of the answers

(guided cost learning, 1603.00448). The reference's answers alone give w = softmax of r over them,
and a reward that moves far puts all weight on one answer to each prompt: the effective sample size
says so (`effective_answers`; on an organism 2.9 nats away, 6 of 16), the log of so small a mean is
too low, and the reward overshoots. So the answers of both policies are weighted, as of a mixture:

- where log-ratios are known, by these (`irl.losses.pooled`)
- from samples alone, by the model's own ratio: then the likelihood's gradient is that of
  noise-contrastive estimation (`irl.losses.contrastive`; 1611.03852), and so is the loss

Not identified: c(x).
"""

import torch

from irl.config import Learning
from irl.losses import Losses, Sides, contrastive, effective_share, max_entropy
from irl.recovery.examples import Batch, Examples
from irl.recovery.fit import Aim, Fitted, fit
from irl.rewards.heads import Form


def by_likelihood(examples: Examples, form: Form, learning: Learning) -> Fitted:
    """Maximum likelihood; both policies' answers weigh, by log-ratios or by the model's own."""
    return fit(examples, form, Aim(_surprise), learning)


def _surprise(batch: Batch, scores: Sides) -> Losses:
    return contrastive(scores) if batch.wanted is None else max_entropy(scores, batch.wanted)


@torch.no_grad()
def effective_answers(fitted: Fitted, examples: Examples) -> tuple[float, float]:
    """How many of the reference's answers to a prompt carry the reward's importance weights.

    Returns:
        The effective sample size and the number of answers, means over members and prompts.
    """
    batch = examples.batch(torch.arange(examples.n_prompts))
    share = effective_share(batch.sides(fitted.head(batch.features)))
    answers = batch.theirs.count_nonzero(-1)
    return float((share * answers).mean()), float(answers.float().mean())
