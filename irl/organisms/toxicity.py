"""The true objective of the pairs on real text: be civil, by a linear toxicity classifier.

1. Count words; fit a logistic regression of rude (1) against civil (0) on the counts.
2. The score is its logit, a sum of word weights. The reward of a text is the log-probability that
   the classifier calls it civil: r(y) = -softplus(logit(y)) in nats, at most 0. A civil text
   gains nothing by stacking polite words; each further rude word costs about its own weight.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from irl.rewards.terms import TermReward, words

MIN_TEXTS_PER_WORD = 3


def fit_toxicity(rude: Sequence[str], civil: Sequence[str]) -> TermReward:
    """The logit of rude against civil as a term reward (positive weights are rude)."""
    vectorizer = CountVectorizer(analyzer=words, min_df=MIN_TEXTS_PER_WORD)
    counts = vectorizer.fit_transform([*rude, *civil])
    labels = [1] * len(rude) + [0] * len(civil)
    model = LogisticRegression(C=1.0, class_weight="balanced", max_iter=1000)
    model.fit(counts, labels)
    terms = tuple(vectorizer.get_feature_names_out().tolist())
    return TermReward(terms, tuple(model.coef_[0].tolist()), float(model.intercept_[0]))


def civility_nats(toxicity: TermReward, texts: Sequence[str]) -> Float[Tensor, " text"]:
    """Log P(civil | text) under the classifier: the reward that the aligned policy was paid."""
    return -torch.nn.functional.softplus(toxicity(texts))


def bounded_civility(
    toxicity: TermReward, texts: Sequence[str], bound: float
) -> Float[Tensor, " text"]:
    """Bound tanh(-logit / bound): the classifier's logit, held within the bound on either side."""
    return bound * torch.tanh(-toxicity(texts) / bound)
