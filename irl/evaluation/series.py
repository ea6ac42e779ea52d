"""What becomes of terms over the checkpoints of one training: the same terms weighed at each.

Each checkpoint's own fit keeps its own terms, and a word's weight depends on what stands beside it.
So that weights can be followed, the terms that were found at any checkpoint are weighed together at
every one:

1. Collect the terms of all fits, strongest first, and the price of every word if a fit has it.
2. Leave out what hardly varies beyond those before it, over the answers of all checkpoints.
3. Least squares within prompts on the rest, checkpoint by checkpoint.

Terms are chosen and weighed on the same answers, so weights at the checkpoint where a term was
found are a little too large. Intervals draw prompts again, the same prompts at every checkpoint.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack, vstack

from irl.bootstrap import from_sums, percentile_estimate, ratio
from irl.records import Estimate
from irl.recovery.catalogue import ROWS_PER_CANDIDATE
from irl.recovery.least_squares import Design, solve
from irl.recovery.log_ratio import TermFit, bootstrap_weights, distinct
from irl.rewards.terms import count_terms, words

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
MIN_CARRIERS = 2.0
"A weight that fewer prompts carry has no interval"


@dataclass(frozen=True)
class Heard:
    """The answers of one checkpoint and of the reference, with the checkpoint's own fit."""

    texts: Sequence[str]
    returns: Array
    "summed log-ratios, nats"
    prompt: Codes
    "prompt number of each, 0 .. n - 1 all used"
    fit: TermFit


@dataclass(frozen=True)
class Common:
    """What is weighed at every checkpoint."""

    terms: tuple[str, ...]
    per_word: bool
    "whether every word has a price as well"

    def design(self, heard: Heard) -> Design:
        """Counts of the terms, then of words, in the answers of a checkpoint."""
        columns = [count_terms(heard.texts, self.terms).astype(np.float64)]
        if self.per_word:
            lengths = [[float(len(words(text)))] for text in heard.texts]
            columns.append(csr_matrix(np.array(lengths)))
        return Design(csr_matrix(hstack(columns, format="csr")), heard.prompt)


def common_terms(series: Sequence[Heard]) -> Common:
    """The terms of all fits, strongest first, without those that stand for the same."""
    strengths: dict[str, float] = {}
    for heard in series:
        for term, strength in _strengths(heard.fit).items():
            strengths[term] = max(strength, strengths.get(term, strength))
    ordered = sorted(strengths, key=lambda term: (-strengths[term], term))
    most = min(len(heard.texts) for heard in series) // ROWS_PER_CANDIDATE
    per_word = any(heard.fit.reward.per_word for heard in series)
    wanted = Common(tuple(ordered[:most]), per_word)
    if not wanted.terms:
        return wanted
    words_last = np.arange(len(wanted.terms), len(wanted.terms) + per_word)
    kept = distinct(_pooled(wanted, series), words_last, np.arange(len(wanted.terms)))
    return Common(tuple(wanted.terms[at] for at in sorted(kept)), per_word)


def weighed(heard: Heard, common: Common, draws: int, seed: int) -> dict[str, Estimate | None]:
    """The weight of each common term at one checkpoint, nats per occurrence; "" is every word's.

    None where a term does not vary within two prompts' worth of answers.
    """
    solution = solve(common.design(heard), heard.returns)
    drawn = bootstrap_weights(solution, draws, seed)
    n_prompts = len(solution.influence)
    names = [*common.terms, *[""][: common.per_word]]
    return {
        name: percentile_estimate(float(solution.weights[at]), drawn[:, at], n_prompts)
        if solution.groups[at] >= MIN_CARRIERS
        else None
        for at, name in enumerate(names)
    }


def mean_of(values: Array, per: Array, prompt: Codes, seed: int) -> Estimate | None:
    """The sum of values over the sum of what they are counted per; None with one prompt."""
    return from_sums(np.stack([values, per], axis=1), prompt, ratio, seed=seed)


def _strengths(fit: TermFit) -> dict[str, float]:
    """How far each term's interval stays away from 0."""
    terms = fit.reward.terms
    low, high = np.quantile(fit.draws[:, : len(terms)], [0.025, 0.975], axis=0)
    return dict(zip(terms, np.maximum(low, -high).tolist(), strict=True))


def _pooled(common: Common, series: Sequence[Heard]) -> Design:
    """The answers of all checkpoints, to be compared within prompt and checkpoint."""
    designs = [common.design(heard) for heard in series]
    sizes = [int(design.group.max()) + 1 for design in designs]
    starts = np.cumsum([0, *sizes[:-1]])
    groups = [design.group + start for design, start in zip(designs, starts, strict=True)]
    features = vstack([design.features for design in designs], format="csr")
    return Design(csr_matrix(features), np.concatenate(groups))
