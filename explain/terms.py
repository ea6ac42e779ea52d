"""What a fitted term reward says: which terms are paid for, and which merely changed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from irl.bootstrap import percentile_estimate
from irl.config import Fitting
from irl.records import ChangedTerm, Estimate, PromptCondition, Term
from irl.recovery.catalogue import candidates
from irl.recovery.least_squares import significant
from irl.recovery.log_ratio import TermFit
from irl.rewards.conditions import TypedPrompt, applies
from irl.rewards.terms import count_terms, term_tokens

Array = NDArray[np.float64]
MAX_CHANGED = 30


@dataclass(frozen=True)
class Said:
    """Responses that a reward was fitted to."""

    texts: Sequence[str]
    pieces: Sequence[Sequence[str]]
    'the text of each token, "" for tokens that are no text'
    log_ratios: Sequence[Array]
    "of each token, nats"
    asked: Sequence[TypedPrompt] | None = None
    "the prompt of each; needed where a term is conditional"

    def under(self, condition: PromptCondition | None) -> "Said":
        """The answers to the prompts that meet a condition."""
        if condition is None or self.asked is None:
            return self
        at = [n for n, one in enumerate(self.asked) if applies(condition, one.text, one.type)]
        return Said(
            [self.texts[n] for n in at],
            [self.pieces[n] for n in at],
            [self.log_ratios[n] for n in at],
        )


def paid_terms(fit: TermFit, said: Said) -> list[Term]:
    """The terms of a fit whose interval excludes 0, strongest first.

    Strength is the end of the interval nearest to 0, so that a rare term with a wide interval does
    not lead the list by chance. A conditional term is counted, and its tokens averaged, only in
    answers to prompts that meet its condition.
    """
    terms = fit.reward.terms
    conditions = fit.reward.conditions or (None,) * len(terms)
    occurrences, means = _counted(terms, conditions, said)
    described = [
        Term(
            term=term,
            weight=weight,
            low=float(low),
            high=float(high),
            occurrences=occurrences[term, condition],
            condition=condition,
            token_mean_nats=means.get((term, condition)),
        )
        for term, weight, (low, high), condition in zip(
            terms,
            fit.reward.weights,
            np.quantile(fit.draws[:, : len(terms)], [0.025, 0.975], axis=0).T,
            conditions,
            strict=True,
        )
    ]
    certain = [term for term in described if _strength(term) > 0]
    return sorted(certain, key=_strength, reverse=True)


def price_per_word(fit: TermFit, n_prompts: int) -> Estimate | None:
    """What every word goes with, whatever it is, where the fit found anything; nats per word.

    Not identified: a price of length and plain drift look alike here. On text that the aligned
    policy would not write itself, any drift from the reference costs some nats per token.
    """
    if not fit.reward.per_word:
        return None
    return percentile_estimate(fit.reward.per_word, fit.draws[:, -1], n_prompts)


def token_means(
    terms: Sequence[str], pieces: Sequence[Sequence[str]], log_ratios: Sequence[Array]
) -> dict[str, float]:
    """Plain average log-ratio of the tokens of each term, nats per token (value gained)."""
    wanted = frozenset(terms)
    totals, counts = dict.fromkeys(terms, 0.0), dict.fromkeys(terms, 0)
    for row, nats in zip(pieces, log_ratios, strict=True):
        for term, tokens in term_tokens(row, wanted):
            totals[term] += float(nats[tokens].sum())
            counts[term] += len(tokens)
    return {term: totals[term] / counts[term] for term in terms if counts[term]}


def changed_terms(
    texts: Sequence[str],
    aligned: NDArray[np.bool_],
    prompt: NDArray[np.int64],
    paid: Sequence[str],
    fitting: Fitting,
) -> list[ChangedTerm]:
    """Words used more or less often by the aligned policy, most clearly changed first.

    Kept at the false discovery rate of the fit, by the within-prompt difference of counts; words
    that are paid for, alone or in a phrase, are left out.
    """
    known = {word for term in paid for word in term.split()}
    single = [term for term in candidates(texts, 1, fitting) if term not in known]
    counts = count_terms(texts, single).astype(np.float64)
    ours = _prompt_means(counts[aligned], prompt[aligned], prompt)
    theirs = _prompt_means(counts[~aligned], prompt[~aligned], prompt)
    difference = ours - theirs
    spread = difference.std(0, ddof=1) / np.sqrt(len(difference)) if len(difference) > 1 else 0.0
    z = difference.mean(0) / np.maximum(spread, 1e-12) * (np.abs(difference).sum(0) > 0)
    rate = fitting.false_discovery_rate
    kept = np.flatnonzero(significant(z, rate, max(len(single), 1), len(difference)))
    strongest = kept[np.argsort(-np.abs(z[kept]))][:MAX_CHANGED]
    return [
        ChangedTerm(
            term=single[at],
            reference_rate=float(theirs[:, at].mean()),
            aligned_rate=float(ours[:, at].mean()),
        )
        for at in strongest
    ]


Priced = tuple[str, PromptCondition | None]


def _counted(
    terms: Sequence[str], conditions: Sequence[PromptCondition | None], said: Said
) -> tuple[dict[Priced, int], dict[Priced, float]]:
    """Occurrences and token means of each term, where its condition is met."""
    occurrences: dict[Priced, int] = {}
    means: dict[Priced, float] = {}
    for condition in dict.fromkeys(conditions):
        pairs = zip(terms, conditions, strict=True)
        own = [term for term, its in pairs if its == condition]
        part = said.under(condition)
        counts = np.asarray(count_terms(part.texts, own).sum(0)).ravel()
        occurrences |= {(term, condition): int(n) for term, n in zip(own, counts, strict=True)}
        found = token_means(own, part.pieces, part.log_ratios)
        means |= {(term, condition): mean for term, mean in found.items()}
    return occurrences, means


def _strength(term: Term) -> float:
    """How far the interval stays away from 0; negative if it contains 0."""
    return max(term.low, -term.high)


def _prompt_means(counts: csr_matrix, prompt: NDArray[np.int64], every: NDArray[np.int64]) -> Array:
    """Mean count per response of each prompt, [prompt, term]."""
    n_prompts = int(every.max()) + 1
    sums = np.zeros((n_prompts, counts.shape[1]))
    rows = counts.tocoo()
    np.add.at(sums, (prompt[rows.row], rows.col), rows.data)
    sizes = np.bincount(prompt, minlength=n_prompts)
    means: Array = sums / np.maximum(sizes, 1)[:, None]
    return means
