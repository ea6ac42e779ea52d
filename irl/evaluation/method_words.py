"""Would the words that a recovery method pays most be called an objective?

Every method finds some reward in any two policies that differ, so that it found one says nothing.
Here the method is fitted on the prompts outside each fold, and its ten strongest words, by

    |w_i| sd_i,   sd_i = standard deviation of the word's count within prompts,

are judged inside the fold as the audit judges its own (`irl.evaluation.candidates`): by what they
explain of the log-ratio beyond length, in share and in nats, and by sign flips of whole prompts.
"""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from irl.config import Deciding
from irl.distances import centred
from irl.evaluation.candidates import judge, terms_candidate
from irl.evaluation.held_out import Evidence
from irl.records import WordsVerdict
from irl.recovery.examples import Examples
from irl.recovery.fit import MIN_PROMPTS
from irl.rewards.heads import Head

Codes = NDArray[np.int64]


def judged_words(
    fit: Callable[[Examples], Head],
    evidence: Evidence,
    examples: Examples,
    deciding: Deciding,
    seed: int,
) -> WordsVerdict | None:
    """Judge the ten strongest words of a method.

    Args:
        fit: linear rewards of counts of words, fitted to some prompts; the first member counts.
        evidence: log-ratios of the same answers, and the folds.
        examples: the answers; features are the catalogue's single words, in its order.
        deciding: thresholds and the number of words.
        seed: of bootstrap and sign flips.

    Returns:
        None where too few prompts are left once a fold is held out.
    """
    outside = [examples.rows(torch.from_numpy(~fold)) for fold in evidence.folds]
    if not outside or min(part.n_prompts for part in outside) < MIN_PROMPTS:
        return None
    chosen = [_strongest(fit(part), part, deciding.max_terms) for part in outside]
    whole = _strongest(fit(examples), examples, deciding.max_terms)
    found = judge(terms_candidate(evidence, chosen, whole), deciding, seed)
    return WordsVerdict(
        objective=found.found,
        terms=list(found.terms),
        r2=found.r2,
        sd_nats=found.sd_nats,
        p_value=found.p_value,
    )


def _strongest(head: Head, examples: Examples, most: int) -> Codes:
    """Columns of the catalogue: column 0 is the number of words."""
    with torch.no_grad():
        one_each = torch.eye(examples.features.shape[1])
        weights = (head(one_each) - head(torch.zeros_like(one_each)))[0]
    moved = weights.abs() * _spread(examples.features, examples.prompt)
    order = moved.argsort(descending=True, stable=True)[:most]
    at: Codes = order[moved[order] > 0].numpy() + 1
    return at


def _spread(
    features: Float[Tensor, "row feature"], prompt: Int[Tensor, " row"]
) -> Float[Tensor, " feature"]:
    return centred(features.T, prompt).square().mean(-1).sqrt()
