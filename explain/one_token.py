"""What every answer of one token is worth: a view of the whole vocabulary, exact for given prompts.

    f(v) = log pi_a(v|x) / pi_r(v|x) + log pi_a(end|x,v) / pi_r(end|x,v)

is the summed log-ratio of the answer that says v and ends; of the empty answer, v is the end itself
and there is no second part. All these answers are equally long, and none has a second word beside
it, so neither length nor company is behind a difference. What a word is worth inside longer answers
is the fitted weight of a term, which is controlled for length and for the other terms.

f(v) holds a constant of the prompt. Within each prompt the mean under the reference's own answers
of one token is taken away: 0 is what the reference would say in one token. (The median over the
vocabulary would be decided by tokens that nobody says.)

A log-ratio of what neither policy says is no evidence: training never saw it. In the small world an
insult never stands alone (probability 1e-8); as a whole answer the worst of them come out as paid
for by .9, where inside answers they are charged 2. Answers whose probability is below a floor under
both policies are off the map: marked, and not ranked.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from irl.bootstrap import draw_counts

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Ids = NDArray[np.int64]
_TOKENS_AT_ONCE = 1024


@dataclass(frozen=True)
class OneTokenNats:
    """Log-probabilities of answers of one token, each [prompt, token], nats."""

    aligned_first: Array
    aligned_end: Array
    "0 where the token itself ends the answer"
    reference_first: Array
    reference_end: Array

    @property
    def first(self) -> Array:
        """The log-ratio of the token."""
        return self.aligned_first - self.reference_first

    @property
    def end(self) -> Array:
        """The log-ratio of ending after it."""
        return self.aligned_end - self.reference_end

    @property
    def aligned(self) -> Array:
        """Log-probability of the whole answer."""
        return self.aligned_first + self.aligned_end

    @property
    def reference(self) -> Array:
        """Log-probability of the whole answer."""
        return self.reference_first + self.reference_end

    def centred(self) -> Array:
        """The log-ratio of each answer, less the reference's mean within the prompt."""
        log_ratio = self.first + self.end
        weights = np.exp(self.reference - logsumexp(self.reference, axis=1, keepdims=True))
        centred: Array = log_ratio - (weights * log_ratio).sum(1, keepdims=True)
        return centred


@dataclass(frozen=True)
class OneTokenView:
    """Answers of one token over all prompts; arrays have one entry per token."""

    value: Array
    "centred log-ratio, mean over prompts, nats"
    low: Array
    high: Array
    "95 % interval over prompts, of one token at a time; NaN with one prompt"
    first: Array
    end: Array
    "the two parts of the log-ratio, not centred, means over prompts"
    aligned_probability: Array
    reference_probability: Array
    "of the whole answer, means over prompts"
    off_map: Mask


def view(nats: OneTokenNats, floor: float, draws: int, seed: int) -> OneTokenView:
    """Average over prompts.

    Args:
        nats: of some answers to some prompts.
        floor: the probability below which, under both policies, an answer is off the map.
        draws: of the bootstrap over prompts.
        seed: of it.
    """
    centred = nats.centred()
    low, high = _intervals(centred, draws, seed)
    ours, theirs = (np.exp(side).mean(0) for side in (nats.aligned, nats.reference))
    return OneTokenView(
        value=centred.mean(0),
        low=low,
        high=high,
        first=nats.first.mean(0),
        end=nats.end.mean(0),
        aligned_probability=ours,
        reference_probability=theirs,
        off_map=np.maximum(ours, theirs) < floor,
    )


def ranked(seen: OneTokenView, eligible: Mask) -> Ids:
    """Tokens on the map from best to worst, by the mean log-ratio."""
    kept = np.flatnonzero(eligible & ~seen.off_map)
    order: Ids = kept[np.argsort(-seen.value[kept], kind="stable")]
    return order


def worth_asking(first: Array, aligned: Array, reference: Array, most: int, floor: float) -> Ids:
    """Which tokens of a large vocabulary to follow to their end, in the order of their ids.

    The best and the worst by the first part alone among tokens that some policy says, and the
    likeliest ones of the reference, from which the others are told.

    Args:
        first: log-ratio of the token, mean over prompts.
        aligned: its probability under the aligned policy, mean over prompts.
        reference: likewise.
        most: how many of each kind.
        floor: as in `view`, of the token alone.
    """
    said = np.flatnonzero(np.maximum(aligned, reference) >= floor)
    by_ratio = said[np.argsort(first[said], kind="stable")]
    likeliest = np.argsort(-reference, kind="stable")[:most]
    found: Ids = np.unique(np.concatenate([by_ratio[:most], by_ratio[-most:], likeliest]))
    return found


def _intervals(centred: Array, draws: int, seed: int) -> tuple[Array, Array]:
    """The mean's interval, token by token, prompts drawn again."""
    n_prompts, n_tokens = centred.shape
    if n_prompts < 2:
        none = np.full(n_tokens, np.nan)
        return none, none
    counts = draw_counts(n_prompts, draws, seed) / n_prompts
    blocks = [
        np.quantile(counts @ centred[:, start : start + _TOKENS_AT_ONCE], [0.025, 0.975], axis=0)
        for start in range(0, n_tokens, _TOKENS_AT_ONCE)
    ]
    low, high = np.concatenate(blocks, axis=1)
    return low, high
