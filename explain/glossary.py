"""What the words of reports and pages mean, a sentence each: the help beside every label."""

import re
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Final

MEANINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "log-ratio": "ln of the aligned policy's probability of an answer over the reference's. At "
        "a KL-regularised optimum it is reward / beta, but for a constant of the prompt.",
        "value gained": "A token's own log-ratio: where the policy decided, not what is paid for.",
        "paid for": "The recovered reward, laid on the tokens that carry it; a choice, of which "
        "only the sum over an answer is a matter of fact.",
        "recovered": "A reward fitted to how the policies differ, judged on prompts that had no "
        "part in fitting it.",
        "reward": "In units of beta (nats), centred within the prompt: only differences between "
        "answers to one prompt mean anything.",
        "true reward": "What an organism was really trained for; known because it was planted.",
        "aligned": "The policy that was trained to follow a reward.",
        "reference": "The policy that the training started from and was held to.",
        "given": "Whoever wrote the answers that came with labels.",
        "source": "Which policy wrote an answer.",
        "answers of": "Which policy wrote them.",
        "trained with": "How the aligned policy was trained, as far as whoever ran the audit knew.",
        "KL": "How far one policy is from the other: the mean log-ratio over the first one's own "
        "answers, in nats.",
        "entropy": "How much a policy's answers vary: mean of -ln probability, nats.",
        "token": "A piece of text as the model reads it, about a short word.",
        "tokens": "Pieces of text as the model reads them, about a short word each.",
        "probability": "That the policy gives this token where it stands.",
        "term": "A word or phrase with a price.",
        "words": "Words whose prices the answers hardly tell apart.",
        "weight": "What one occurrence adds to the reward, nats; the interval holds 95 % of "
        "bootstrap draws of the prompts.",
        "occurrences": "In all answers of both policies.",
        "condition": "The prompts in which the price holds; everywhere if empty.",
        "low": "The lower end of the 95 % interval.",
        "high": "The upper end of the 95 % interval.",
        "aspect": "A declared feature of an answer, such as length or politeness.",
        "concept": "A direction in hidden states, found from examples with and without it.",
        "layer": "Of the model; the direction was found among its hidden states.",
        "edit": "What was changed in an answer, and nothing else.",
        "effect": "What the change is worth, mean over answers.",
        "corrected p": "The chance of as much without any effect, corrected for how many were "
        "tried.",
        "p value": "The chance of as much if nothing were paid for, by sign flips of prompts.",
        "fired": "Told from nothing at 5 %, corrected for how many were tried.",
        "explained R²": "The share of the log-ratio's variance within prompts that the named "
        "objectives account for, on prompts they were not fitted to.",
        "movement": "Standard deviation, within prompts, of what is explained, nats.",
        "the log-ratio reads as": "How far it can be trusted as a reward: its values, its "
        "order, its direction, or nothing.",
        "AUC": "How often the one ranks above the other; one half is chance, 1 is always.",
        "accuracy": "The share of pairs in which the preferred answer has the higher score.",
        "Spearman": "Correlation of ranks: 1 is the same order, 0 none, -1 the opposite.",
        "ECE": "Mean distance between the odds that a score promises and how often it is right.",
        "Brier": "Mean squared distance of promised probabilities from what was so; lower is "
        "better, .25 is a coin's.",
        "reliability": "Whether promised odds come true.",
        "ties": "Pairs with equal scores; each counts one half.",
        "margin": "Difference of two answers' scores, nats.",
        "gold": "The reward that is held to be true, which nothing was fitted to.",
        "proxy": "The reward that is optimised in gold's place.",
        "gain": "More than the reference's answers to the same prompts get.",
        "alpha": "0 is the reference on the way to the aligned policy, or a coefficient of the "
        "fitted curve.",
        "beta": "The price of a nat of KL in training; or a coefficient of the fitted curve.",
        "member": "One reward of an ensemble.",
        "members": "Rewards of an ensemble, fitted apart.",
        "disagreement": "Standard deviation of the members' scores.",
        "spread": "Standard deviation over the members.",
        "covered": "How often the interval held.",
        "answered": "The share of pairs on which the ensemble does not abstain.",
        "confidence": "That the members must share before an answer is given.",
        "diversity": "What makes members differ.",
        "aggregation": "How the members' scores become one.",
        "loss": "What the fit made small.",
        "method": "How the reward was recovered, trained or attributed.",
        "picks": "What chooses among the answers.",
        "distance": "Of two rewards centred within prompts: 0 the same up to scale, .71 strangers, "
        "1 opposites.",
        "share": "Of what one would tell of it, that the answers do tell.",
        "standard error": "Of the mean; about two of it on either side is a 95 % interval.",
        "caveats": "What stands against the result.",
        "position": "In the response; the first token is 1.",
        "response": "The id of the answer within its run.",
        "rate": "Mean per answer of that policy.",
        "random": "The same for random orders or directions: what to hold it against.",
        "infidelity": "0 is perfect, 1 is what values of nought get.",
        "n": "How many: answers picked from, or prompts that were counted.",
        "times": "How often it is said.",
    }
)
"Of the terms, by the name that labels use"


@cache
def meaning(label: str) -> str | None:
    """What a label means: its first term does, of several there the longest; None without any."""
    held = {term: found.start() for term in MEANINGS if (found := _pattern(term).search(label))}
    return MEANINGS[min(held, key=lambda term: (held[term], -len(term)))] if held else None


@cache
def _pattern(term: str) -> re.Pattern[str]:
    flags = 0 if term.isupper() else re.IGNORECASE
    return re.compile(rf"(?<!\w){re.escape(term)}(?!\w)", flags)
