"""Words whose price depends on the words before them, as an audit reports it.

The return decomposition is that of `irl.recovery.contexts`; here it is held against counts of words
on prompts that neither was fitted to, and told word by word.
"""

from collections.abc import Sequence
from itertools import compress

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from irl.bootstrap import from_sums, ratio
from irl.config import Fitting
from irl.evaluation.fit import explained_r2
from irl.records import ContextPrice, Contexts
from irl.recovery.contexts import ContextFit, Pair, fit_contexts
from irl.recovery.least_squares import freedom, significant
from irl.within import centred

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
MOST_PRICES = 40


def context_prices(
    texts: Sequence[str],
    returns: Array,
    prompt: Codes,
    fold: Codes,
    fitting: Fitting,
    seed: int = 0,
) -> tuple[Contexts, ContextFit]:
    """Find the contexts, and say what they explain and which words they change.

    Args:
        texts: the responses.
        returns: their summed log-ratios, nats.
        prompt: prompt number of each.
        fold: held-out fold of each; a prompt lies in one fold.
        fitting: how often a word must occur.
        seed: of the bootstrap.
    """
    fit = fit_contexts(texts, returns, prompt, fold, fitting)
    y = centred(returns, prompt)
    squares = np.stack([(y - fit.words_alone) ** 2 - (y - fit.with_context) ** 2, y * y], axis=1)
    found = Contexts(
        words_r2=explained_r2(fit.words_alone, y, prompt, seed),
        context_r2=explained_r2(fit.with_context, y, prompt, seed),
        gain_r2=from_sums(squares, prompt, ratio, seed=seed),
        contexts=list(fit.prices.contexts),
        prices=_changed(fit, fitting.false_discovery_rate),
    )
    if found.gain_r2 is None or found.gain_r2.low <= 0:
        found = found.model_copy(update={"contexts": [], "prices": []})
    return found, fit


def _changed(fit: ContextFit, rate: float) -> list[ContextPrice]:
    """Words that a context surely changes, at a false discovery rate over all that it might."""
    pairs = list(fit.prices.added)
    groups = fit.joint.groups[[fit.joint.column[pair] for pair in pairs]]
    added = np.array([fit.joint.of({pair: 1.0}) for pair in pairs]).reshape(-1, 2).T
    scores = np.divide(added[0], added[1], out=np.zeros(len(pairs)), where=added[1] > 0)
    kept = significant(scores, rate, len(pairs), groups)
    reach = t.ppf(0.975, freedom(groups))
    rows = [
        _price(fit, pair, float(far))
        for pair, far in zip(compress(pairs, kept), reach[kept], strict=True)
    ]
    return sorted(rows, key=lambda row: -abs(row.weight - row.alone))[:MOST_PRICES]


def _price(fit: ContextFit, pair: Pair, reach: float) -> ContextPrice:
    """Its price there and elsewhere; `reach` is half an interval in standard errors."""
    context, word = pair
    there, there_error = fit.joint.of({pair: 1.0, word: 1.0})
    alone, alone_error = fit.joint.of({word: 1.0})
    return ContextPrice(
        context=context,
        word=word,
        weight=there,
        low=there - reach * there_error,
        high=there + reach * there_error,
        alone=alone,
        alone_low=alone - reach * alone_error,
        alone_high=alone + reach * alone_error,
        occurrences=fit.occurrences[pair],
    )
