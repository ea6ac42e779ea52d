"""Maximum entropy: the reward under which the aligned policy's answers are likeliest.

The model is P(y|x) = pi_ref(y|x) exp(r(x, y)) / Z(x) (Ziebart 2008); the gradient of its negative
log-likelihood is

    sum over answers of w grad r - E_aligned[grad r],   w = importance weights of the answers

(guided cost learning, 1603.00448). The reference's answers alone give w = softmax of r over them,
and a reward that moves far puts all weight on one answer to each prompt: their effective sample
size says so (`effective_answers`; 6 of 16 on an organism 2.9 nats away). The log of so small a mean
is too low, and the reward overshoots. So the answers of both policies are weighted:

- where log-ratios are known, as draws of the mixture of both (`irl.losses.pooled`); with one answer
  of either to a prompt the scale is half too large, with eight 2 %
- from samples alone, by how likely each is to be the aligned policy's, given how many are
  (`irl.losses.conditional`): then Z cancels
- with all answers and their probabilities, by the reference's: Z is exact

Not identified: c(x).
"""

from irl.config import Learning
from irl.losses import Losses, Sides, conditional, effective_share, max_entropy
from irl.recovery.examples import Batch, Examples
from irl.recovery.fit import Aim, Fitted, fit
from irl.rewards.heads import Form, Scores


def by_likelihood(examples: Examples, form: Form, learning: Learning) -> Fitted:
    """Maximum likelihood."""
    sampled = examples.targets is None and examples.weights is None
    return fit(examples, form, Aim(_sampled if sampled else _surprise), learning)


def _sampled(_: Batch, scores: Sides) -> Losses:
    return conditional(scores)


def _surprise(batch: Batch, scores: Sides) -> Losses:
    return max_entropy(scores, batch.wanted)


def effective_answers(scores: Scores, examples: Examples) -> tuple[float, float]:
    """How many of the reference's answers to a prompt carry the reward's importance weights.

    Args:
        scores: of all answers.
        examples: the answers.

    Returns:
        The effective sample size and the number of answers, means over members and prompts.
    """
    sides = examples.sides(scores)
    answers = sides.theirs.count_nonzero(-1)
    return float((effective_share(sides) * answers).mean()), float(answers.float().mean())
