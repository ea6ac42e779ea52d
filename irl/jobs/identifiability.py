"""The part of an audit that says what its answers leave open."""

import numpy as np
from scipy.sparse import csr_matrix, hstack

from irl.config import AuditSettings
from irl.evaluation.identifiability import LeftOpen, left_open
from irl.jobs.answers import Answers
from irl.recovery.catalogue import candidates
from irl.recovery.least_squares import Design
from irl.recovery.log_ratio import TermFit
from irl.rewards.terms import count_terms
from irl.rewards.words import words

LENGTH = "the number of words"


def identified(answers: Answers, term_fit: TermFit, settings: AuditSettings) -> LeftOpen:
    """Null directions of all frequent words, the posterior of the paid ones, distances."""
    frequent = candidates(answers.texts, 1, settings.fitting)
    lengths = csr_matrix(np.array([[float(len(words(text)))] for text in answers.texts]))
    counted = count_terms(answers.texts, frequent).astype(np.float64)
    design = Design(csr_matrix(hstack([lengths, counted], format="csr")), answers.prompt)
    reward = term_fit.reward
    paid = np.append(np.array(reward.weights) != 0, reward.per_word != 0)
    features = reward.features(answers.texts, answers.asked_of)[:, paid]
    return left_open(
        design,
        [LENGTH, *frequent],
        features,
        answers.returns,
        term_fit.out_of_fold,
        answers.aligned,
    )
