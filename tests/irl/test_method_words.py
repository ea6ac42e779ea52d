"""The words of a method, judged as the audit judges its own."""

import numpy as np
import pytest
import torch

from irl.config import Deciding, Fitting, Learning
from irl.evaluation.method_words import judged_words
from irl.jobs.learning import Answered
from irl.records import WordsVerdict
from irl.recovery.examples import Examples
from irl.recovery.methods import METHODS
from irl.rewards.heads import Head, linear

WORDS = np.array(["idiot", "please", "the", "a", "day", "sun", "rain", "tree"])
FOLD = np.arange(80) % 5
FEW = Deciding(max_terms=2, draws=999)
LEARNING = Learning(seeds=(0,), penalties=(1e-3,), epochs=20)


def answered(price: float, noise: float, seed: int = 0) -> Answered:
    """Answers of eight words; the log-ratio pays for one of them, and has a noise of its own."""
    rng = np.random.default_rng(seed)
    prompt = np.arange(80).repeat(8)
    aligned = np.tile(np.arange(8) < 4, 80)
    tilted = np.exp(price * (WORDS == "idiot")) / 8
    shares = np.where(aligned[:, None], tilted / tilted.sum(), 1 / 8)
    drawn = [rng.choice(WORDS, 8, p=share) for share in shares]
    log_ratio = price * np.array([(row == "idiot").sum() for row in drawn])
    log_ratio = log_ratio + noise * rng.standard_normal(len(prompt))
    return Answered([" ".join(row) for row in drawn], prompt, aligned, log_ratio)


def judged(given: Answered, name: str = "bradley-terry") -> WordsVerdict:
    def head(part: Examples) -> Head:
        return METHODS[name](part, linear, LEARNING).head

    evidence, examples = given.evidence(FOLD[given.prompt], Fitting())
    found = judged_words(head, evidence, examples, FEW, 0)
    assert found is not None
    return found


@pytest.mark.slow
def test_words_that_pay_are_an_objective():
    found = judged(answered(-1.5, 0.3))
    assert found.objective
    assert found.terms[0] == "idiot"
    assert found.r2 is not None
    assert found.r2.value > 0.8


@pytest.mark.slow
def test_words_that_hardly_pay_are_none_however_sure_it_is_that_they_do():
    found = judged(answered(-0.2, 1.0))
    assert not found.objective
    assert found.r2 is not None
    assert found.r2.value < FEW.min_r2


def test_the_fold_that_is_judged_has_no_part_in_the_choice():
    """Each fit sees whole prompts of the other folds, and all of them once."""
    given, seen = answered(-1.5, 0.3), []

    def head(part: Examples) -> Head:
        seen.append((part.n_prompts, len(part.features)))
        return linear(1, part.features.shape[1], torch.Generator())

    evidence, examples = given.evidence(FOLD[given.prompt], Fitting())
    found = judged_words(head, evidence, examples, FEW, 0)
    assert found is not None
    assert seen == [(64, 512)] * 5 + [(80, 640)]
    assert found.terms == [], "a reward without weights has no strongest words"
    assert not found.objective


def test_with_one_fold_nothing_can_be_judged():
    given = answered(-1.5, 0.3)
    evidence, examples = given.evidence(np.zeros(len(given.prompt), dtype=int), Fitting())
    assert (
        judged_words(lambda _: linear(1, 8, torch.Generator()), evidence, examples, FEW, 0) is None
    )


def test_some_answers_are_numbered_anew():
    given = answered(-1.5, 0.3)
    _, examples = given.evidence(FOLD[given.prompt], Fitting())
    some = examples.rows(torch.from_numpy(FOLD[given.prompt] == 2))
    assert some.n_prompts == 16
    assert some.ours.shape == (16, 4)
    assert examples.targets is not None
    assert some.targets is not None
    assert torch.equal(some.targets, examples.targets[torch.from_numpy(given.prompt % 5 == 2)])
