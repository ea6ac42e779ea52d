"""Directions of concepts: closed forms, invariances, and nulls of which the truth is known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf

from explain.concepts.declared import read_concepts
from explain.concepts.directions import FOLDS, Along, Answers, Texts, along, held_out, shuffled
from explain.concepts.scores import (
    Concept,
    Measuring,
    Said,
    can_fire,
    held_fixed,
    holm,
    presence,
    random_concepts,
    rank_p,
    score_concepts,
)
from explain.concepts.states import Reading, States
from explain.concepts.told import concept_table
from explain.exchange import Exchange
from irl.errors import InputError
from irl.records import ConceptLimits, ConceptScore, Estimate

PROMPTS, EACH, WIDTH = 20, 6, 8
N = 2 * PROMPTS * EACH
PROMPT = np.repeat(np.arange(PROMPTS), 2 * EACH)
ALIGNED = np.tile(np.repeat([True, False], EACH), PROMPTS)
STRATUM = 2 * PROMPT + ALIGNED


def world(
    seed: int = 0, present: float = 3.0, paid: float = 0.0
) -> tuple[Texts, Answers, np.ndarray]:
    """Hidden states that hold a concept along their first axis, and a target that pays for it."""
    rng = np.random.default_rng(seed)
    has = rng.random(N) < 0.5
    hidden = rng.normal(size=(N, WIDTH)) + rng.normal(size=(PROMPTS, WIDTH))[PROMPT]
    hidden[:, 0] += present * has
    values = paid * has + rng.normal(size=N) + rng.normal(size=PROMPTS)[PROMPT]
    gradient = rng.normal(size=(N, WIDTH)).astype(np.float32)
    hidden = hidden.astype(np.float32)
    return Texts(hidden, STRATUM, PROMPT), Answers(hidden, gradient, values, PROMPT), has


def own(texts: Texts, answers: Answers, has: np.ndarray) -> Along:
    return along(texts, texts.weights(has)[:, None], answers)


def assert_same(one: Along, other: Along, *, times: float = 1.0) -> None:
    np.testing.assert_allclose(one.score, other.score)
    np.testing.assert_allclose(one.tcav, other.tcav)
    np.testing.assert_allclose(one.derivative * times, other.derivative, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("width", [WIDTH, 2 * N])
def test_a_direction_is_the_normal_of_a_shrunk_discriminant_learnt_outside_the_fold(width: int):
    """The slow twin: Ledoit and Wolf's covariance as scikit-learn has it, wide or not."""
    rng = np.random.default_rng(1)
    texts = Texts(rng.normal(size=(N, width)).astype(np.float32), STRATUM, PROMPT)
    has = rng.random(N) < 0.4
    outside = PROMPT % FOLDS != 2
    x = np.array([texts.hidden[i] - texts.hidden[STRATUM[i] == STRATUM].mean(0) for i in range(N)])
    z = np.array([has[i] - has[STRATUM[i] == STRATUM].mean() for i in range(N)])
    covariance, _ = ledoit_wolf(x[outside].astype(float), assume_centered=True)
    normal = np.linalg.solve(covariance, x[outside].T @ z[outside])
    found = texts.learners[2](texts.weights(has)[:, None])[:, 0]
    np.testing.assert_allclose(found, normal / np.linalg.norm(normal), rtol=1e-4, atol=1e-6)


def test_a_target_that_is_linear_in_hidden_states_has_the_derivative_of_its_closed_form():
    texts, answers, has = world()
    line = Texts(texts.hidden[:, :1], STRATUM, PROMPT)
    values = 0.7 * answers.hidden[:, 0].astype(float) + PROMPT
    linear = Answers(line.hidden, np.full((N, 1), 0.7, np.float32), values, PROMPT)
    found = own(line, linear, has)
    assert (found.tcav == 1).all()
    assert (found.score == 1).all()
    within = values - np.array([values[p == PROMPT].mean() for p in PROMPT])
    sd = np.sqrt((within**2).sum() / (N - PROMPTS))
    np.testing.assert_allclose(found.derivative, sd, rtol=1e-5)


def test_the_opposite_concept_has_the_opposite_sign():
    texts, answers, has = world(paid=1.0)
    one, other = own(texts, answers, has), own(texts, answers, ~has)
    np.testing.assert_allclose(one.score, 1 - other.score)
    np.testing.assert_allclose(one.tcav, 1 - other.tcav)
    np.testing.assert_allclose(one.derivative, -other.derivative)


def test_scales_and_constants_of_a_prompt_change_nothing():
    texts, answers, has = world(paid=1.0)
    before = own(texts, answers, has)
    weights = texts.weights(has)[:, None]
    assert_same(before, along(texts, 5 * weights, answers))
    moved = texts.hidden + np.arange(PROMPTS, dtype=np.float32)[PROMPT, None]
    larger = replace(answers, hidden=3 * moved, gradient=answers.gradient / 3)
    assert_same(before, own(replace(texts, hidden=3 * moved), larger, has))
    paid_more = replace(
        answers, values=2 * answers.values + 9 * PROMPT, gradient=2 * answers.gradient
    )
    assert_same(before, own(texts, paid_more, has), times=2)


def test_what_is_paid_is_found_and_what_is_not_represented_is_not():
    texts, answers, has = world(paid=2.0)
    assert own(texts, answers, has).score.mean() > 0.7
    places = held_out(texts, texts.weights(has))
    assert np.corrcoef(places, has)[0, 1] > 0.6
    hidden, _, absent = world(present=0.0, paid=2.0)
    assert abs(np.corrcoef(held_out(hidden, hidden.weights(absent)), absent)[0, 1]) < 0.2


def test_random_concepts_keep_their_numbers_in_every_stratum():
    texts, _, has = world()
    weights = texts.weights(has)
    drawn = shuffled(weights, STRATUM, 50, np.random.default_rng(0))
    for stratum in np.unique(STRATUM):
        rows = stratum == STRATUM
        np.testing.assert_allclose(
            np.sort(drawn[rows], 0), np.sort(weights[rows])[:, None] + np.zeros(50)
        )
    assert not (drawn == weights[:, None]).all(0).any()


def test_the_p_of_a_random_concept_is_uniform():
    texts, answers, has = world(paid=2.0)
    trials, draws = 100, 20
    weights = shuffled(texts.weights(has), STRATUM, trials * draws, np.random.default_rng(3))
    scores = along(texts, weights, answers).score.mean(0).reshape(trials, draws)
    p = np.array([rank_p(row[0], row[1:]) for row in scores])
    for level in (0.05, 0.25, 0.5):
        assert abs((p <= level).mean() - level) < 3 * np.sqrt(level * (1 - level) / trials)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.6]) == [1.0, 1.0]
    assert holm([]) == []
    for tests in (1, 12, 48, 200):
        assert tests / (1 + random_concepts(tests, 0.05)) <= 0.025


@pytest.mark.parametrize(("tests", "prompts", "able"), [(6, 8, True), (7, 8, False), (7, 9, True)])
def test_with_few_prompts_and_many_concepts_none_can_fire(tests: int, prompts: int, able: bool):
    """2^(1 - 8) = 1/128, and 6/128 < 0.05 < 7/128."""
    score = Estimate(value=0.9, low=0.8, high=1.0, n=prompts)
    empty = {"name": "c", "layer": 1, "positives": 9, "negatives": 9, "prompts": 9}
    rows = [ConceptScore(**empty, score=score) for _ in range(tests)]
    limits = ConceptLimits(min_effect=0.05, nominal=0.05)
    assert can_fire([*rows, ConceptScore(**empty)], limits) == able
    assert can_fire([ConceptScore(**empty)], limits)


def test_presence_is_any_of_it_or_where_all_have_some_more_than_the_median():
    counts = np.tile([0.0, 0, 1, 2, 0, 3], 2 * PROMPTS)
    assert (presence(counts, STRATUM) == (counts > 0)).all()
    words = np.tile([5.0, 9, 7, 8, 6, 4], 2 * PROMPTS)
    assert (presence(words, STRATUM) == (words > 6.5)).all()


def test_a_slope_with_others_held_fixed_is_that_of_a_regression_on_all():
    rng = np.random.default_rng(2)
    _, answers, _ = world()
    places = rng.normal(size=(N, 3)) @ np.array([[1, 0.8, 0], [0, 0.6, 0], [0, 0, 1.0]])
    places -= np.array([places[p == PROMPT].mean(0) for p in PROMPT])
    paid = replace(answers, values=2 * places[:, 0] - places[:, 2] + PROMPT)
    found = [one.value for one in held_fixed(places, paid, 0) if one]
    np.testing.assert_allclose(found, [2, 0, -1], atol=1e-3)


def reading(texts: Texts, answers: Answers) -> Reading:
    """Models whose states are those of the world; examples have those of their numbers."""

    def read(exchanges: list[Exchange], layers: list[int]) -> States:
        rows = [int(one.response) for one in exchanges]
        state = answers.hidden[rows, None], answers.gradient[rows, None]
        return States(answers.values[rows], *(np.repeat(one, len(layers), 1) for one in state))

    return Reading("log-ratio", "nats", 4, read)


SAID = Said([Exchange(f"p{p}", str(i)) for i, p in enumerate(PROMPT)], PROMPT, ALIGNED)
BY = Measuring((1,), ConceptLimits(min_effect=0.1, nominal=0.05))


def rule(has: np.ndarray):
    return lambda exchanges: has[[int(one.response) for one in exchanges]].astype(float)


def scored(texts: Texts, answers: Answers, *concepts: Concept) -> list[ConceptScore]:
    return score_concepts(concepts, SAID, reading(texts, answers), BY).rows


@pytest.mark.slow
def test_a_paid_concept_fires_and_an_absent_or_a_rare_one_is_refused_with_the_reason():
    texts, answers, has = world(paid=-2.0)
    rng = np.random.default_rng(5)
    rare = np.arange(N) < 30
    paid, absent, few = scored(
        texts,
        answers,
        Concept("paid", rule(has)),
        Concept("absent", rule(rng.random(N) < 0.5)),
        Concept("rare", rule(rare & (rng.random(N) < 0.5))),
    )
    assert paid.fired
    assert paid.score is not None
    assert paid.score.high < 0.4, "it is charged for"
    assert (absent.score, absent.fired) == (None, False)
    assert absent.separates is not None
    assert "not there" in (absent.reason or "")
    assert "fewer than 8" in (few.reason or "")
    table = concept_table([paid, absent, few])
    assert "FIRED" in table
    assert "not there" in table


@pytest.mark.slow
def test_examples_are_found_as_rules_are_and_an_equal_target_is_no_target():
    texts, answers, has = world(paid=2.0)
    theirs = np.flatnonzero(~ALIGNED)
    texts_of = {
        flag: tuple(str(i) for i in theirs[has[theirs] == flag][:40]) for flag in (True, False)
    }
    (found,) = scored(
        texts, answers, Concept("e", positives=texts_of[True], negatives=texts_of[False])
    )
    assert found.score is not None
    assert found.score.low > 0.6
    (alone,) = scored(texts, answers, Concept("e", positives=texts_of[True]))
    assert alone.negatives <= PROMPTS, "the reference's answers to the same prompts"
    still = replace(answers, values=np.zeros(N))
    (same,) = scored(texts, still, Concept("c", rule(has)))
    assert "the same for all answers" in (same.reason or "")


@pytest.mark.slow_extra
def test_where_nothing_is_paid_no_more_than_the_nominal_share_has_a_small_p():
    """The concept is held in the hidden states; the target knows nothing of it."""
    rows = []
    for seed in range(100):
        texts, answers, has = world(seed=seed)
        rows += scored(texts, answers, Concept("c", rule(has)))
    p = np.array([row.p_value for row in rows if row.p_value is not None])
    assert len(p) > 90
    assert (p <= 0.05).mean() < 0.05 + 2 * np.sqrt(0.05 * 0.95 / len(p))
    assert not any(row.fired for row in rows if row.score and abs(row.score.value - 0.5) < 0.1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[{name: a, kind: aspect}]", ["no such aspect", "b"]),
        ("[{name: a, kind: examples, positives: [x]}]", ["concept 1", "positives", "at least 8"]),
        ("[{name: a, kind: sing}]", ["concept 1", "kind"]),
        ("[{name: b, kind: aspect}, {name: b, kind: aspect}]", ["b stands twice"]),
        ("[{name: a, kind: callable, function: 'm:f'}]", ["--allow-code"]),
        ("{a: 1}", ["list"]),
        ("[", ["YAML"]),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_by_name(tmp_path: Path, text: str, words: list[str]):
    file = tmp_path / "concepts.yaml"
    file.write_text(text)
    with pytest.raises(InputError) as refused:
        read_concepts(file, ())
    for word in (*words[:1], str(file)):
        assert word in str(refused.value)
