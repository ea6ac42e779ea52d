"""Rows that say what limits the share of the teacher: text and words, the reward, or the policy.

All are sums of word weights, over the words that the answers hold, and each step knows less:

1. the true objective's own weights: what is lost here, text and words lose
2. weights fitted to the true reward of the answers: what is lost beyond, its saturation loses
3. weights fitted to the log-ratios of the answers: what is lost beyond, the policy loses
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from explain.jobs.result_rows import Measured, counted, mean_of_seeds
from irl.jobs.learning import Answered
from irl.records import ResultRow
from irl.recovery.word_ridge import ridge_weights
from irl.rewards.terms import TermReward, count_terms, words

Array = NDArray[np.float64]
MIN_ANSWERS = 3
"That a word must stand in"


def limit_rows(
    of: Measured,
    answered: Answered,
    true: Array,
    objective: TermReward,
    texts: Sequence[str],
    score: Callable[[Array], float],
    penalties: Sequence[float],
) -> Iterator[ResultRow]:
    """All three steps, and how the log-ratio goes with the true reward on the answers.

    Args:
        of: case and seeds.
        answered: the answers with their log-ratios.
        true: their true reward.
        objective: the classifier; its weights are rude.
        texts: the labelled texts.
        score: share of the teacher of scores of these.
        penalties: of the fits.
    """
    assert answered.log_ratio is not None
    seen = Counter(word for text in answered.texts for word in set(words(text)))
    known = [word for word, n in seen.items() if n >= MIN_ANSWERS]
    counts = csr_matrix(count_terms(answered.texts, known).astype(np.float64))
    wanted = count_terms(texts, known)
    metric = "share of the teacher"
    own = np.array([-objective.by_term.get(word, 0.0) for word in known])
    one = score(np.asarray(wanted @ own))
    yield of.row("1 true weights of the answers' words", metric, "", counted(one, len(known)))
    for name, values in (
        ("2 word weights fitted to the true reward", true),
        ("3 word weights fitted to the log-ratio", answered.log_ratio),
    ):
        fitted = ridge_weights(counts, values, answered.prompt, penalties, of.seeds)
        shares = np.array([score(np.asarray(wanted @ weights)) for weights in fitted])
        yield of.row(name, f"{metric}, mean of seeds", "", mean_of_seeds(shares))
    rho = float(np.corrcoef(true, answered.log_ratio)[0, 1])
    n = len(true)
    yield of.row("log-ratio of answers", "Pearson with their true reward", "", counted(rho, n))
