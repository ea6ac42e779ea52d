"""Losses of recovered rewards, on the scores of both policies' answers to the same prompts.

With a an answer of the aligned policy, b one of the reference, r the reward in nats,

    bradley_terry   E[-log sigmoid(r(a) - r(b))]                     optimum log pi_A/pi_R + c(x)
    candidates      E[-log softmax(r(a) among a and all b)]          the same optimum
    max_entropy     log E_b[exp r(b)] - E[r(a)]                      the same optimum; its gradient
                    E_b[w grad r] - E_a[grad r], w = softmax of r over the reference's answers
    conditional     log e_n(exp r of all answers) / n - E[r(a)]      the same optimum, without Z
    log_ratio       variance within prompts of r - log pi_A/pi_R
    margin          E[-p(r(a) - r(b))], p(m) = m, twice that below 0 (Ng and Russell 2000)

All but `pointwise` are invariant under r + c(x), as functions of differences within a prompt. The
first four know the reward's scale only where both policies give answers; `margin` knows no scale at
all and needs a bounded reward, since it is homogeneous.
Each returns one number for each member and prompt, the mean over its pairs or answers.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

Losses = Float[Tensor, "member prompt"]
_RUIN = torch.finfo(torch.float32).min / 4
"Log-weight of what is not there"


@dataclass(frozen=True)
class Sides:
    """Scores of both policies' answers; prompts may have different numbers of them.

    Answers weigh 1 where they were sampled. With all answers of a policy and their probabilities as
    weights, means are exact expectations.
    """

    aligned: Float[Tensor, "member prompt ours"]
    reference: Float[Tensor, "member prompt theirs"]
    ours: Float[Tensor, "prompt ours"]
    "weights of the aligned policy's answers; 0 where there is none"
    theirs: Float[Tensor, "prompt theirs"]

    @property
    def margins(self) -> Float[Tensor, "member prompt ours theirs"]:
        """r(a) - r(b) of every pair."""
        return self.aligned[..., :, None] - self.reference[..., None, :]

    @property
    def weighted(self) -> Float[Tensor, "member prompt theirs"]:
        """Log weight plus r of the reference's answers, far below all where there is none."""
        logs = self.theirs.log().clamp(min=_RUIN)
        return (self.reference + logs).clamp(min=_RUIN)

    @property
    def tilted(self) -> Float[Tensor, "member prompt theirs"]:
        """Shares of the reference's answers under pi_ref exp(r) / Z."""
        return self.weighted.softmax(-1)

    @property
    def pairs(self) -> Float[Tensor, "prompt ours theirs"]:
        """Weights of the pairs."""
        return self.ours[:, :, None] * self.theirs[:, None, :]


def bradley_terry(scores: Sides) -> Losses:
    """Logistic loss of every pair."""
    return mean_over(torch.nn.functional.softplus(-scores.margins), scores.pairs)


def absolute(scores: Sides) -> Losses:
    """1 - sigmoid(margin): bounded, so that a wrong label pulls no harder than any (1712.09482).

    It keeps the order and loses the scale.
    """
    return mean_over(torch.sigmoid(-scores.margins), scores.pairs)


def generalised(scores: Sides, q: float = 0.7) -> Losses:
    """(1 - p^q) / q with p = sigmoid(margin): between `bradley_terry` (q 0) and `absolute` (q 1).

    Generalised cross-entropy (1805.07836).
    """
    powers = torch.exp(q * torch.nn.functional.logsigmoid(scores.margins))
    return mean_over((1 - powers) / q, scores.pairs)


def pointwise(scores: Sides) -> Losses:
    """Logistic loss of every answer by itself: was it chosen (r > 0) or rejected (r < 0)?

    Classification as in 2411.04991. The one loss here that is not invariant under r + c(x): it asks
    answers to different prompts to agree on where 0 is.
    """
    softplus = torch.nn.functional.softplus
    chosen = mean_over(softplus(-scores.aligned), scores.ours)
    return (chosen + mean_over(softplus(scores.reference), scores.theirs)) / 2


def candidates(scores: Sides) -> Losses:
    """Each answer of the aligned policy among all of the reference's: a softmax, not pairs."""
    others = scores.weighted.logsumexp(-1, keepdim=True)
    surprise = torch.logaddexp(scores.aligned, others) - scores.aligned
    return mean_over(surprise, scores.ours)


def max_entropy(scores: Sides, log_ratio: Sides | None = None) -> Losses:
    """Negative log-likelihood of the aligned policy's answers under pi_ref exp(r) / Z.

    Args:
        scores: r of the answers.
        log_ratio: log pi_A/pi_R of the same answers, where it is known: then Z is estimated from
            both policies' answers.
    """
    partition = log_partition(scores) if log_ratio is None else pooled(scores, log_ratio)
    return partition - mean_over(scores.aligned, scores.ours)


def pooled(scores: Sides, log_ratio: Sides) -> Losses:
    """Log Z from the answers of both policies by the balance heuristic (Veach and Guibas 1995).

        Z = sum over all answers of exp(r) / (n_A exp(log pi_A/pi_R) + n_R)

    Answers that the aligned policy likes and the reference hardly gives are there then, and no
    weight exceeds 1 / n_A at the optimum.
    """
    ours, theirs = scores.ours.sum(-1)[:, None], scores.theirs.sum(-1)[:, None]
    mixed = [
        score + there.log().clamp(min=_RUIN) - torch.logaddexp(ours.log() + ratio, theirs.log())
        for score, there, ratio in (
            (scores.aligned, scores.ours, log_ratio.aligned),
            (scores.reference, scores.theirs, log_ratio.reference),
        )
    ]
    total: Tensor = torch.cat(mixed, -1).logsumexp(-1)
    return total


def conditional(scores: Sides) -> Losses:
    """Which answers are the aligned policy's, given how many of them are? Z cancels.

    Under P(y|x) = pi_ref(y|x) exp(r) / Z, with e_n the elementary symmetric polynomial (the sum
    over all ways to choose n of the answers of the product of their exp r),

        [log e_{n_A}(exp r of all answers) - sum_a r(a)] / n_A

    (conditional likelihood, Andersen 1970; conditional logistic regression). The gradient is

        sum over all answers of w grad r - E_a[grad r],   w = P(aligned policy's answer) / n_A

    so no answer weighs more than 1 / n_A, and the optimum is right however few answers there are:
    log Z fitted to each prompt would double r with one answer of either. With one of each it is
    `bradley_terry`, with one of the aligned policy `candidates`. Answers are there or not: weights
    other than 0 and 1 have no meaning here.
    """
    mean = mean_over(scores.aligned, scores.ours)  # a constant of the prompt: keeps sums small
    rewards = torch.cat([scores.aligned, scores.reference], -1) - mean[..., None]
    there = torch.cat([scores.ours, scores.theirs], -1) > 0
    n_ours = (scores.ours > 0).sum(-1)
    empty = rewards.new_full((*rewards.shape[:2], int(n_ours.max()) + 1), _RUIN)
    ways = torch.cat([torch.zeros_like(empty[..., :1]), empty[..., 1:]], -1)
    for at in range(rewards.shape[-1]):
        with_it = ways[..., :-1] + rewards[..., at, None]
        more = torch.cat([ways[..., :1], torch.logaddexp(ways[..., 1:], with_it)], -1)
        ways = torch.where(there[:, at, None], more, ways)
    chosen = ways.gather(-1, n_ours.expand(len(ways), -1)[..., None]).squeeze(-1)
    return chosen / n_ours


def log_partition(scores: Sides) -> Losses:
    """Log Z = log of the mean of exp(r) over the reference's answers."""
    total: Tensor = scores.weighted.logsumexp(-1) - scores.theirs.sum(-1).log()
    return total


def log_ratio(scores: Sides, wanted: Sides) -> Losses:
    """Squared distance to the log-ratios (or other targets), after centring within the prompt."""
    there = torch.cat([scores.ours, scores.theirs], -1)
    off = torch.cat([scores.aligned - wanted.aligned, scores.reference - wanted.reference], -1)
    centred = off - mean_over(off, there)[..., None]
    return mean_over(centred**2, there)


def margin(scores: Sides, penalty: float = 2.0) -> Losses:
    """Negative margins count `penalty` times. Only for rewards that are bounded otherwise."""
    margins = scores.margins
    gains = torch.where(margins < 0, penalty * margins, margins)
    return -mean_over(gains, scores.pairs)


def effective_share(scores: Sides) -> Losses:
    """Effective sample size of the reference's n answers under pi_ref exp(r) / Z, over n.

    Near 1 / n, `max_entropy` rests on one answer to a prompt.
    """
    plain = scores.theirs / scores.theirs.sum(-1, keepdim=True)
    ratios = torch.where(plain > 0, scores.tilted / plain.clamp(min=1e-30), 0.0)
    return 1 / (plain * ratios**2).sum(-1)


def mean_over(values: Tensor, there: Tensor) -> Tensor:
    """Weighted mean of each prompt; `there` has the dimensions after [member]."""
    dims = tuple(range(2, values.dim()))
    return (values * there).sum(dims) / there.sum(tuple(range(1, there.dim())))
