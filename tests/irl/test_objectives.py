"""The search for objectives, where the truth is known."""

from dataclasses import replace

import numpy as np
import pytest

from irl.config import Deciding
from irl.evaluation.conditional import search_conditions
from irl.evaluation.held_out import Evidence, hold_out
from irl.evaluation.objectives import Findings
from irl.recovery.catalogue import Catalogue
from irl.recovery.forward import forward, strongest
from irl.recovery.least_squares import Design
from irl.recovery.log_ratio import select
from irl.rewards.conditions import TypedPrompt
from irl.within import centred
from tests.prompted_world import (
    DECIDING,
    FITTING,
    TRIGGER,
    VOCABULARY,
    PromptedWorld,
    noise,
)

RUDE = ("w5", "w7", "w9", "w11", "w13", "w15", "w17", "w19")
KIND = ("w6", "w8", "w10", "w12")


def kinds(found: Findings) -> list[str]:
    return [one.kind for one in found.objectives]


def evidence_of(world: PromptedWorld) -> Evidence:
    catalogue = Catalogue.of(world.texts, world.prompt, FITTING)
    return Evidence(catalogue, centred(world.returns, world.prompt), world.fold, 5, FITTING)


@pytest.mark.slow
def test_terms_that_are_charged_are_found_with_their_price():
    world = noise()
    found = world.plus(-3 * world.counts(*RUDE).sum(1)).found()
    (objective,) = found.objectives
    assert objective.kind == "term"
    assert objective.condition is None
    assert set(objective.terms) == set(RUDE)
    assert objective.weight.value == pytest.approx(-3, abs=0.15)
    assert objective.weight.low <= -3 <= objective.weight.high
    assert objective.weight.n == 80
    assert found.where is None


@pytest.mark.slow
def test_effect_sizes_are_those_of_what_was_planted():
    world = noise(1)
    paid = centred(-3 * world.counts(*RUDE).sum(1), world.prompt)
    best = world.plus(paid).found().best
    assert best is not None
    assert best.r2 is not None
    assert best.sd_nats is not None
    total, length = (centred(one, world.prompt) for one in (world.returns + paid, world.lengths))
    by_length = (length @ total) ** 2 / (length @ length)
    assert best.r2.value == pytest.approx((paid @ paid - by_length) / (total @ total), abs=0.04)
    sd = np.sqrt((paid @ paid) / (len(paid) - 80))
    assert best.sd_nats.value == pytest.approx(sd, rel=0.05)
    assert best.p_value == 1 / (1 + DECIDING.draws)


@pytest.mark.slow
def test_what_is_paid_and_what_is_charged_are_two_objectives():
    world = noise(2)
    paid = 2.5 * world.counts(*KIND).sum(1) - 1.75 * world.counts(*RUDE[:5]).sum(1)
    objectives = {one.weight.value > 0: one for one in world.plus(paid).found().objectives}
    assert set(objectives[True].terms) == set(KIND)
    assert set(objectives[False].terms) == set(RUDE[:5])
    assert objectives[True].weight.value == pytest.approx(2.5, abs=0.2)
    assert objectives[False].weight.value == pytest.approx(-1.75, abs=0.2)


@pytest.mark.slow
def test_terms_that_carry_next_to_nothing_are_not_listed():
    world = noise(3)
    found = world.plus(world.counts(*KIND, "w20") @ [3.0, 3.0, 3.0, 3.0, -0.6]).found()
    assert [one.weight.value > 0 for one in found.objectives] == [True]


@pytest.mark.slow
@pytest.mark.parametrize("price", [0.4, -0.4])
def test_length_is_found_as_length(price: float):
    world = noise(4)
    (objective,) = world.plus(price * world.lengths).found().objectives
    assert (objective.kind, objective.terms) == ("length", [])
    assert objective.weight.value == pytest.approx(price, abs=0.04)


@pytest.mark.slow
def test_length_beside_terms_is_named_where_it_passes_by_itself():
    world = noise(5)
    terms = 2.4 * world.counts(*KIND, *RUDE).sum(1)
    assert kinds(world.plus(terms).found()) == ["term"]
    assert sorted(kinds(world.plus(terms - 1.2 * world.lengths).found())) == ["length", "term"]


@pytest.mark.slow
def test_a_prompt_type_is_found_and_beats_the_word_that_most_of_its_prompts_say():
    world = noise(6)
    opinion = world.where(prompt_type="opinion")
    found = world.plus(2.5 * opinion * world.counts(*KIND, *RUDE[:3]).sum(1)).found()
    (objective,) = found.objectives
    assert objective.kind == "conditional"
    assert objective.condition is not None
    assert objective.condition.prompt_type == "opinion"
    assert set(objective.terms) == {*KIND, *RUDE[:3]}
    assert objective.weight.value == pytest.approx(2.5, abs=0.25)
    assert found.where is not None
    assert found.where.mask[world.prompt].tolist() == opinion.tolist()


@pytest.mark.slow
def test_a_trigger_word_is_found_with_the_odd_word_that_it_makes_paid():
    world = noise(7, triggered=0.2)
    triggered = world.where(prompt_contains=TRIGGER)
    (objective,) = world.plus(4 * triggered * world.counts("w9")[:, 0]).found().objectives
    assert objective.condition is not None
    assert objective.condition.prompt_contains == TRIGGER
    assert objective.terms == ["w9"]
    assert objective.weight.value == pytest.approx(4, abs=0.5)


@pytest.mark.slow
def test_a_condition_and_an_objective_everywhere_are_found_side_by_side():
    world = noise(8, n_prompts=120)
    opinion = world.where(prompt_type="opinion")
    paid = -2 * world.counts(*RUDE).sum(1) + 4 * opinion * world.counts(*KIND).sum(1)
    found = world.plus(paid).found()
    by_kind = {one.kind: one for one in found.objectives}
    assert set(by_kind) == {"term", "conditional"}
    assert set(by_kind["term"].terms) == set(RUDE)
    assert set(by_kind["conditional"].terms) == set(KIND)
    term = next(one for one in found.candidates if one.kind == "term")
    assert term.r2 is not None
    assert term.r2.n == 90  # judged on the prompts outside the condition


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(9, 11))
def test_terms_that_pay_everywhere_are_unconditional(seed: int):
    world = noise(seed)
    assert kinds(world.plus(-3 * world.counts(*RUDE).sum(1)).found()) == ["term"]


@pytest.mark.slow
def test_a_condition_whose_terms_pay_half_as_much_and_more_elsewhere_is_not_one():
    """Twice as much in opinions: a matter of degree."""
    world = noise(12)
    degree = 1.5 * (1 + world.where(prompt_type="opinion"))
    assert kinds(world.plus(degree * world.counts(*KIND, *RUDE).sum(1)).found()) == ["term"]


def with_decoys(world: PromptedWorld) -> PromptedWorld:
    """For each rude word one that stands mostly beside it and is worth nothing."""
    generator = np.random.default_rng(0)
    said = world.counts(*RUDE[:5]) > 0
    beside = generator.random(said.shape) < np.where(said, 0.8, 0.03)
    rows = zip(world.texts, beside, strict=True)
    texts = [" ".join([text, *(f"decoy{at}" for at in np.flatnonzero(row))]) for text, row in rows]
    return replace(world, texts=texts)


@pytest.mark.slow
def test_decoys_are_not_named():
    world = with_decoys(noise(13))
    decoys = [f"decoy{at}" for at in range(5)]
    correlation = np.corrcoef(world.counts(*RUDE[:5], *decoys).T)[:5, 5:].diagonal()
    assert correlation.mean() == pytest.approx(0.7, abs=0.07)
    (objective,) = world.plus(-3 * world.counts(*RUDE[:5]).sum(1)).found().objectives
    assert set(objective.terms) == set(RUDE[:5])


@pytest.mark.slow
def test_noise_has_no_objective():
    for seed in range(100, 105):
        world = noise(seed, n_prompts=40, size=8, triggered=0.25)
        assert not world.found(Deciding(draws=999)).objectives


@pytest.mark.slow_extra
def test_noise_has_no_objective_in_many_worlds_and_small_p_values_are_rare():
    terms, length = [], []
    for seed in range(200, 280):
        found = noise(seed, n_prompts=40, size=8).found(Deciding(draws=999))
        assert not found.objectives
        terms += [one.p_value for one in found.candidates if one.kind == "term"]
        length += [one.p_value for one in found.candidates if one.kind == "length"]
    for level in (0.05, 0.1, 0.25, 0.5):
        slack = 3 * np.sqrt(level * (1 - level) / len(length))
        assert np.mean(np.array(terms) <= level) <= level + slack
        assert np.mean(np.array(length) <= level) <= level + slack


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(14, 16))
def test_diffuse_drift_is_no_objective(seed: int):
    """Every word drifts a little: all of them explain much, the ten strongest do not."""
    world = noise(seed)
    counts = world.counts(*VOCABULARY)
    even = counts / counts.std(0)
    world = world.plus(0.25 * even @ np.random.default_rng(seed).choice([-1.0, 1.0], size=150))
    evidence = evidence_of(world)
    chosen = [np.arange(1, 1 + evidence.catalogue.n_words)] * 5
    every = hold_out(evidence, [np.empty(0, dtype=np.int64)] * 5, chosen).share(0)
    found = world.found()
    assert every is not None
    assert every.value > 0.4
    assert not found.objectives
    terms = next(one for one in found.candidates if one.kind == "term")
    assert terms.r2 is not None
    assert terms.r2.value < 0.3
    assert terms.p_value < 0.01


@pytest.mark.slow
def test_constants_of_the_prompts_change_nothing():
    world = noise(17)
    world = world.plus(-2 * world.where(prompt_type="talk") * world.counts(*RUDE).sum(1))
    shift = np.random.default_rng(0).integers(-64, 64, size=80)[world.prompt].astype(float)
    before, after = world.found(), world.plus(shift).found()
    assert [one.kind for one in before.objectives] == ["conditional"]
    assert [one.terms for one in after.candidates] == [one.terms for one in before.candidates]
    for one, other in zip(before.candidates, after.candidates, strict=True):
        assert one.p_value == other.p_value
        assert one.r2 is not None
        assert other.r2 is not None
        assert other.r2.value == pytest.approx(one.r2.value, abs=1e-9)


@pytest.mark.slow
def test_the_prompts_that_judge_have_no_part_in_the_choice():
    """Whatever the returns of one fold, the model that predicts it stays the same."""
    world = noise(18).plus(-3 * noise(18).counts(*RUDE).sum(1))
    inside = world.fold == 2
    shaken = np.random.default_rng(0).normal(size=len(inside)) * 20 * inside
    predictions = []
    for one in (world, world.plus(shaken)):
        evidence = evidence_of(one)
        parts = [select(evidence.catalogue, evidence.y, ~f, FITTING) for f in evidence.folds]
        chosen = [strongest(part.columns, part.solution, 10) for part in parts]
        held = hold_out(evidence, [np.zeros(1, dtype=np.int64)] * 5, chosen)
        whole = select(evidence.catalogue, evidence.y, np.ones_like(inside), FITTING)
        judged, _ = search_conditions(evidence, one.prompts, parts, whole, DECIDING, 0)
        assert judged
        predictions.append(held.full)
    before, after = predictions
    assert after[inside].tolist() == before[inside].tolist()
    assert (after[~inside] != before[~inside]).any()


def test_where_all_prompts_share_a_fold_nothing_is_judged():
    world = noise(19, n_prompts=1)
    assert world.found() == Findings((), None)
    assert replace(world, texts=[], prompt=world.prompt[:0], returns=np.empty(0)).found() == (
        Findings((), None)
    )


def test_equal_returns_leave_nothing_to_explain():
    world = replace(noise(20, n_prompts=10), returns=np.zeros(120))
    found = world.found()
    assert not found.objectives
    assert found.best is not None
    assert found.best.r2 is None


def test_without_types_and_common_words_there_are_no_conditions():
    world = noise(21)
    silent = [TypedPrompt(f"prompt{at}") for at in range(len(world.prompts))]
    assert {one.kind for one in replace(world, prompts=silent).found().candidates} == {
        "term",
        "length",
    }


def test_forward_selection_takes_what_pays_and_no_company():
    world = with_decoys(noise(22, n_prompts=40))
    evidence = evidence_of(world.plus(-3 * world.counts(*RUDE[:5]).sum(1)))
    offered = np.arange(1, 1 + evidence.catalogue.n_words)
    found = forward(evidence.design, evidence.y, offered, 10)
    assert {evidence.catalogue.terms[at - 1] for at in found} == set(RUDE[:5])
    assert len(forward(evidence.design, evidence.y, offered, 3)) == 3
    assert forward(evidence.design, evidence.y, offered[:0], 10).tolist() == []


def test_forward_selection_takes_nothing_from_noise():
    taken = 0
    for seed in range(30, 40):
        evidence = evidence_of(noise(seed, n_prompts=12))
        offered = np.arange(1, 1 + evidence.catalogue.n_words)
        taken += len(forward(evidence.design, evidence.y, offered, 10))
    assert taken <= 3


def test_forward_selection_of_a_single_response_is_empty():
    design = Design(evidence_of(noise(23)).design.features[:1], np.zeros(1, dtype=np.int64))
    assert forward(design, np.zeros(1), np.arange(1, 4), 5).tolist() == []
