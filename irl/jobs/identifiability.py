"""The parts of an audit that say what its answers leave open, and what more of them would tell."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack

from irl.config import AuditSettings
from irl.evaluation.contraction import contraction
from irl.evaluation.identifiability import PRIOR_SD_NATS, LeftOpen, left_open
from irl.jobs.answers import Answers
from irl.jobs.known_truth import KnownTruth
from irl.records import Contraction
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
    features = term_fit.reward.features(answers.texts, answers.asked_of)[:, _paid(term_fit)]
    return left_open(
        design,
        [LENGTH, *frequent],
        features,
        answers.returns,
        term_fit.out_of_fold,
        answers.aligned,
    )


def contracted(
    answers: Answers, term_fit: TermFit, settings: AuditSettings, known: KnownTruth | None
) -> list[Contraction]:
    """The posterior of the paid weights by the number of prompts; empty where there is none."""
    paid = _paid(term_fit)
    planted = None if known is None else known.weights(term_fit.reward)
    return contraction(
        term_fit.reward.features(answers.texts, answers.asked_of)[:, paid],
        answers.aligned,
        answers.prompt,
        prior_sd_nats=PRIOR_SD_NATS,
        seed=settings.seed,
        truth=None if planted is None else planted[paid],
    )


def _paid(term_fit: TermFit) -> NDArray[np.bool_]:
    """Which weights are not 0; the price of a word comes last."""
    reward = term_fit.reward
    paid: NDArray[np.bool_] = np.append(np.array(reward.weights) != 0, reward.per_word != 0)
    return paid
