"""Words whose price depends on the words before them, as an audit reports it.

The return decomposition is that of `irl.recovery.contexts`; here it is held against counts of words
on prompts that neither was fitted to, and told word by word.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from irl.bootstrap import from_sums, ratio
from irl.config import Fitting
from irl.evaluation.fit import explained_r2
from irl.records import ContextPrice, Contexts
from irl.recovery.contexts import ContextFit, fit_contexts
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
        prices=_changed(fit),
    )
    return found, fit


def _changed(fit: ContextFit) -> list[ContextPrice]:
    """Standard errors are the jackknife's over prompts, with the contexts taken as given."""
    rows = []
    for pair, added in fit.prices.added.items():
        alone = fit.prices.words.get(pair[1], 0.0)
        weight, reach = alone + added, 1.96 * fit.errors[pair]
        if abs(added) > reach:
            rows.append(
                ContextPrice(
                    context=pair[0],
                    word=pair[1],
                    weight=weight,
                    low=weight - reach,
                    high=weight + reach,
                    alone=alone,
                    occurrences=fit.occurrences[pair],
                )
            )
    return sorted(rows, key=lambda row: -abs(row.weight - row.alone))[:MOST_PRICES]
