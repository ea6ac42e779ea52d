"""Bradley-Terry: which of two answers to a prompt did the aligned policy write?

Both answers are drawn independently, so the logistic loss of r(a) - r(b) is lowest at
r = log pi_A/pi_R + c(x): samples of both policies are all that it takes. The same loss learns from
preferences (1952), with the chosen answer as the aligned one. `candidates` asks which of all
answers, with a softmax; `robust` bounds how hard a wrong label can pull.

Not identified: c(x); and beyond the answers that both policies give, nothing.
"""

from irl.config import Learning
from irl.losses import Losses, Sides, absolute, bradley_terry, candidates, generalised
from irl.recovery.examples import Batch, Examples
from irl.recovery.fit import Aim, Fitted, fit
from irl.rewards.heads import Form


def by_pairs(examples: Examples, form: Form, learning: Learning) -> Fitted:
    """All pairs of an answer of either policy to one prompt."""
    return fit(examples, form, Aim(pairs), learning)


def by_candidates(examples: Examples, form: Form, learning: Learning) -> Fitted:
    """Each answer of the aligned policy among all answers of the reference (2-K+1 softmax)."""
    return fit(examples, form, Aim(lambda _, scores: candidates(scores)), learning)


def by_absolute(examples: Examples, form: Form, learning: Learning) -> Fitted:
    """As `by_pairs` with the loss 1 - p, bounded: for labels that may be wrong. Order only."""
    return fit(examples, form, Aim(lambda _, scores: absolute(scores)), learning)


def by_generalised(examples: Examples, form: Form, learning: Learning) -> Fitted:
    """As `by_pairs` with the loss (1 - p^.7) / .7, nearly bounded."""
    return fit(examples, form, Aim(lambda _, scores: generalised(scores)), learning)


def pairs(_: Batch, scores: Sides, *_others: Sides) -> Losses:
    """The logistic loss of all pairs of a batch, by the reward; other parts do not count."""
    return bradley_terry(scores)
