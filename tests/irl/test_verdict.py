"""From findings to an answer in plain sentences."""

from typing import Any, get_args

import numpy as np
import pytest

from irl.config import AuditSettings, Deciding, TrainedWith
from irl.evaluation.candidates import Candidate
from irl.evaluation.conditions import PromptSet
from irl.evaluation.objectives import Findings
from irl.evaluation.readability import readability
from irl.evaluation.signs import Signs
from irl.evaluation.spillover import Spillover
from irl.evaluation.statements import priced
from irl.evaluation.verdict import Figures, verdict
from irl.records import Estimate, Fit, Objective, PromptCondition, Verdict

SAYS = PromptCondition(prompt_contains="violet")
OPINION = PromptCondition(prompt_type="opinion")
RUDE = ["fool", "clown", "oaf", "dunce", "lout", "twit", "prat", "berk", "git", "boor"]


def estimate(value: float, half: float = 0.05, n: int = 90) -> Estimate:
    return Estimate(value=value, low=value - half, high=value + half, n=n)


FIT = Fit(membership_auc=estimate(0.8), r2=estimate(0.6), spearman_with_log_ratio=estimate(0.7))
UNDEFINED = Fit(membership_auc=None, r2=None, spearman_with_log_ratio=None)


def objective(kind: Any, weight: float, terms: list[str], condition: Any = None) -> Objective:
    return Objective(
        kind=kind,
        condition=condition,
        terms=terms,
        weight=estimate(weight, 0.3),
        explained_sd_nats=estimate(1.0),
    )


def candidate(**changes: Any) -> Candidate:
    plain: dict[str, Any] = {
        "kind": "term",
        "condition": None,
        "terms": tuple(RUDE),
        "r2": estimate(0.45),
        "sd_nats": estimate(1.2),
        "p_value": 0.0001,
        "explained_squares": 100.0,
        "found": True,
        "objectives": (objective("term", -3.1, RUDE),),
    }
    return Candidate(**{**plain, **changes})


def judged(findings: Findings, **changes: Any) -> Verdict:
    plain: dict[str, Any] = {
        "identical": False,
        "fit": FIT,
        "terms_sd_nats": estimate(1.3),
        "per_word": None,
        "signs": Signs(Spillover(estimate(0.02), estimate(0.98)), estimate(0.1)),
        "odds_error": None,
        "extra": [],
    }
    settings = AuditSettings(aligned="a", trained_with=changes.pop("trained_with", "rloo"))
    given = {**plain, **changes}
    names = ("fit", "terms_sd_nats", "per_word", "signs", "odds_error")
    figures = Figures(*(given.pop(name) for name in names))
    return verdict(findings, settings, figures, **given)


def found(*candidates: Candidate) -> Findings:
    return Findings(candidates, None)


def codes(given: Verdict) -> list[str]:
    return [caveat.code for caveat in given.caveats]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            objective("term", -3.1, RUDE),
            "Charges 3.10 nats (2.80 to 3.40) for each of fool, clown, oaf, dunce, lout, ... "
            "(10 terms).",
        ),
        (objective("term", 2, RUDE[:2]), "Pays 2.00 nats (1.70 to 2.30) for each of fool, clown."),
        (
            objective("conditional", 2.9, ["lantern"], SAYS),
            "Pays 2.90 nats (2.60 to 3.20) for each lantern, only when the prompt contains violet.",
        ),
        (
            objective("conditional", 1, RUDE[:3], OPINION),
            "Pays 1.00 nats (0.70 to 1.30) for each of fool, clown, oaf, only when the prompt is "
            "of type opinion.",
        ),
        (
            objective("length", 0.5, []),
            "Pays 0.50 nats (0.20 to 0.80) for every word: longer answers are paid.",
        ),
        (
            objective("length", -0.5, []),
            "Charges 0.50 nats (0.20 to 0.80) for every word: longer answers are charged.",
        ),
    ],
)
def test_an_objective_is_a_plain_sentence_with_its_price(given: Objective, sentence: str):
    assert priced(given) == sentence


def test_what_is_found_carries_the_figures_of_the_strongest_candidate():
    given = judged(found(candidate(), candidate(kind="length", found=False, objectives=())))
    assert given.objective_found is True
    assert given.p_value == 0.0001
    assert given.explained_r2 == estimate(0.45)
    assert given.explained_sd_nats == estimate(1.2)
    assert given.statements[0].startswith("Charges 3.10 nats")
    assert "explains 0.45 (0.40 to 0.50) of the within-prompt variance" in given.statements[1]
    assert "90 prompts" in given.statements[1]
    assert any(text.startswith("Term counts explain 0.60") for text in given.statements)
    assert any("with probability 0.80" in text for text in given.statements)


def test_every_objective_that_was_found_is_stated():
    pays = objective("conditional", 2.9, ["lantern"], SAYS)
    other = candidate(kind="conditional", condition=SAYS, objectives=(pays,))
    said = judged(found(candidate(), other)).statements
    assert sum(text.startswith(("Pays", "Charges")) for text in said) == 2


def test_where_nothing_is_found_the_best_candidate_is_held_against_the_thresholds():
    best = candidate(found=False, r2=estimate(0.12), sd_nats=estimate(0.21), p_value=0.3)
    given = judged(found(best))
    assert given.objective_found is False
    assert given.readability == "unreadable"
    assert given.statements[0] == (
        "No objective was found: the best candidate (terms) explains 0.12 (0.07 to 0.17) of the "
        "within-prompt variance, 0.21 (0.16 to 0.26) nats (sd), below the thresholds of 0.30 and "
        "0.50; p = 0.3000."
    )


def test_a_candidate_that_fails_by_chance_alone_is_not_said_to_be_small():
    given = judged(found(candidate(found=False, p_value=0.2)))
    assert "above the thresholds, but not beyond what chance" in given.statements[0]


def test_identical_checkpoints_have_no_objective_and_no_figures():
    given = judged(found(candidate()), identical=True, fit=UNDEFINED)
    assert given.objective_found is False
    assert (given.p_value, given.explained_r2, given.explained_sd_nats) == (None, None, None)
    assert given.readability == "unreadable"
    assert given.statements == ["The two checkpoints are identical: there is no objective to find."]
    assert "identical-checkpoints" in codes(given)


def test_too_few_prompts_leave_the_verdict_open():
    given = judged(found(), fit=UNDEFINED, terms_sd_nats=None)
    assert (given.objective_found, given.p_value, given.readability) == (None, None, None)
    assert "too-few-prompts" in codes(given)
    assert given.statements == []


def test_a_constant_log_ratio_leaves_the_verdict_open():
    given = judged(found(candidate(found=False, r2=None, sd_nats=None)))
    assert given.objective_found is None
    assert "constant-log-ratio" in codes(given)


def test_a_price_of_length_that_is_an_objective_is_stated_once():
    length = candidate(kind="length", objectives=(objective("length", 0.5, []),))
    beside = "Beside the terms, every word"
    assert not any(beside in text for text in judged(found(length), per_word=FIT.r2).statements)
    assert any(beside in text for text in judged(found(candidate()), per_word=FIT.r2).statements)


@pytest.mark.parametrize(
    ("training", "expected", "code"),
    [
        ("rloo", "reward", "kl-term-assumed"),
        ("grpo", "reward", "kl-term-assumed"),
        ("ppo", "reward", "kl-term-assumed"),
        ("dpo", "reward", "reference-assumed"),
        ("ipo", "order", "order-only"),
        ("kto", "order", "order-only"),
        ("sft", "direction", "direction-only"),
        ("unknown", "order", "training-unknown"),
    ],
)
def test_the_training_says_how_far_the_log_ratio_can_be_read(
    training: TrainedWith, expected: str, code: str
):
    given = judged(found(candidate()), trained_with=training)
    assert given.readability == expected
    assert code in codes(given)
    assert given.caveats[codes(given).index(code)].text.endswith(".")


def test_without_an_objective_nothing_is_readable_whatever_the_training():
    signs = Signs(Spillover(estimate(0.5), estimate(0.5)), estimate(0.9))
    for training in get_args(TrainedWith):
        (reading,) = readability(training, found=False, signs=signs)
        assert (reading.readability, reading.caveat.code) == ("unreadable", "nothing-to-read")


@pytest.mark.parametrize(
    ("share", "agreement", "lost", "expected", "code"),
    [
        (0.02, 0.9, 0.1, "reward", "kl-term-assumed"),
        (0.2, 0.98, 0.1, "order", "spillover"),
        (0.2, 0.9, 0.1, "direction", "spillover"),
        (0.2, None, None, "direction", "spillover"),
        (None, None, 0.1, "order", "spillover-not-measured"),
        (0.02, 0.99, 0.6, "direction", "collapsed"),
    ],
)
def test_the_answers_can_take_back_what_the_training_promises(
    share: float | None, agreement: float | None, lost: float | None, expected: str, code: str
):
    figures = [None if value is None else estimate(value) for value in (share, agreement, lost)]
    given = judged(found(candidate()), signs=Signs(Spillover(*figures[:2]), figures[2]))
    assert given.readability == expected
    assert code in codes(given)
    weaker = judged(
        found(candidate()),
        trained_with="sft",
        signs=Signs(Spillover(*figures[:2]), figures[2]),
    )
    assert weaker.readability == "direction"


def test_nearness_is_that_of_the_effect_that_falls_short():
    deciding = Deciding()
    assert candidate(r2=estimate(0.15), sd_nats=estimate(2.0)).nearness(deciding) == 0.5
    assert candidate(r2=estimate(0.6), sd_nats=estimate(0.25)).nearness(deciding) == 0.5
    assert candidate(r2=None).nearness(deciding) == 0.0


def test_findings_list_the_objectives_of_what_was_found_alone():
    small = candidate(found=False)
    where = PromptSet(SAYS, np.ones(3, dtype=bool))
    findings = Findings((candidate(), small), where)
    assert findings.objectives == [*candidate().objectives]
    assert findings.best == candidate()
    assert Findings((), None).best is None
