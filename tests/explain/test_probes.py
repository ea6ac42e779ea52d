"""Probes on targets whose effects are known exactly."""

from dataclasses import replace

import numpy as np
import pytest

from explain.probes.bias import probe_bias
from explain.probes.declared import (
    Append,
    Feature,
    Opening,
    Opinion,
    Probes,
    Reorder,
    Swap,
    TwoByTwo,
    Where,
    Words,
    read_probes,
)
from explain.probes.evidence import Measuring, Unit, finding, measure
from explain.probes.likelihood import Likelihood
from explain.probes.suite import edited_table, run_probes
from explain.probes.two_by_two import Labelled, probe_two_by_two
from explain.targets import Exchange, reward
from irl.evaluation.accuracy import Labels
from irl.records import PromptCondition
from irl.rewards.terms import TermReward
from tests.explain.grounds import ANY_SIZE, answers, by, ground, noise, per_text

POLITE = Opening(kind="opening", name="politeness", texts=("please,",), last=True)
PAD = Append(kind="append", name="length", texts=("it is so and so.",))
FLATTERY = Words(
    kind="words",
    name="flattery",
    words=("good",),
    instead=("bad",),
    only_where=Where(prompt_type="opinion"),
)
OPINION = Opinion(
    kind="opinion", name="sycophancy", opinions=("i say so.",), agree=("yes.",), disagree=("no.",)
)
SOURCE = Feature(name="source", terms=("book",), insert=("the book says",))
CERTAIN = Feature(name="certainty", terms=("surely",))
SPLIT = TwoByTwo(goal=SOURCE, proxy=CERTAIN)
PAYS = {"please": 2.0, "red": 1.0, "book": 0.5, "surely": 1.5}
REWARD = TermReward(tuple(PAYS), tuple(PAYS.values()), per_word=0.1)


def test_effects_are_those_of_the_reward() -> None:
    target = reward(REWARD)
    own = ground(answers(), target)
    polite = probe_bias(POLITE, own, by(target))[0][0]
    longer = probe_bias(PAD, own, by(target))[0][0]
    assert polite.effect is not None
    assert longer.effect is not None
    assert polite.effect.value == pytest.approx(2.1)
    assert longer.effect.value == pytest.approx(0.5)
    assert (polite.effect.low, polite.effect.high) == pytest.approx((2.1, 2.1))
    assert polite.effect_sd == pytest.approx(2.1 / own.sd)
    assert polite.spread_sd == pytest.approx(0.0, abs=1e-9)
    assert polite.fired
    assert polite.effect.n == 24


def test_what_is_not_paid_does_not_fire() -> None:
    target = reward(REWARD)
    own = ground(answers(), target)
    still = probe_bias(Reorder(kind="reorder", name="position"), own, by(target))[0][0]
    assert still.effect is not None
    assert (still.effect.value, still.p_value, still.fired) == (0.0, 1.0, False)


def test_a_small_effect_of_certain_sign_does_not_fire() -> None:
    def value(one: Exchange) -> float:
        plain = replace(one, response=one.response.replace("please, ", ""))
        return noise(plain) + 0.05 * one.response.count("please")

    target = per_text(value)
    own = ground(answers(), target)
    found = probe_bias(POLITE, own, by(target))[0][0]
    assert found.p_value is not None
    assert found.p_value < 0.001
    assert not found.fired


def test_a_constant_of_the_prompt_and_a_scale_change_nothing_but_the_scale() -> None:
    plain = reward(REWARD)

    def moved(exchanges):
        constants = per_text(lambda one: 100 * noise(replace(one, response="")))
        return 3 * plain(exchanges) + constants(exchanges)

    for bias in (POLITE, PAD, FLATTERY, OPINION):
        before = probe_bias(bias, ground(answers(), plain), by(plain))[0]
        after = probe_bias(bias, ground(answers(), moved), by(moved))[0]
        for one, other in zip(before, after, strict=True):
            assert one.effect is not None
            assert other.effect is not None
            assert other.effect.value == pytest.approx(3 * one.effect.value, abs=1e-9)
            assert other.effect_sd == pytest.approx(one.effect_sd, abs=1e-9)
            assert other.fired == one.fired


def test_the_weights_of_every_unit_sum_to_nothing_within_each_prompt() -> None:
    target = reward(REWARD)
    own = ground(answers(), target)
    for bias in (POLITE, PAD, FLATTERY, OPINION):
        for read in probe_bias(bias, own, by(target))[1]:
            assert read.units
            for unit in read.units:
                sums: dict[str, float] = {}
                for exchange, weight in unit.cells:
                    key = str(exchange.prompt)
                    sums[key] = sums.get(key, 0.0) + weight
                assert set(sums.values()) == {0.0}


def test_flattery_that_pays_after_an_opinion_only_is_told_apart() -> None:
    condition = PromptCondition(prompt_type="opinion")
    target = reward(TermReward(("good", "far"), (2.0, 1.0), conditions=(condition, None)))
    own = ground(answers(), target)
    inside, outside, apart = probe_bias(FLATTERY, own, by(target))[0]
    assert [one.effect and one.effect.value for one in (inside, outside, apart)] == [2.0, 0.0, 2.0]
    assert (inside.fired, outside.fired, apart.fired) == (True, False, True)


def test_agreement_that_pays_after_an_opinion_is_an_interaction() -> None:
    def value(one: Exchange) -> float:
        asked = str(one.prompt).endswith("i say so.")
        return 1.5 * (one.response.startswith("yes.") and asked) + 0.2 * one.response.count("red")

    target = per_text(value)
    found = probe_bias(OPINION, ground(answers(), target), by(target))[0][0]
    assert found.effect is not None
    assert found.effect.value == pytest.approx(1.5)
    assert found.fired


def test_too_few_answers_to_edit_are_no_measurement() -> None:
    target = reward(REWARD)
    found = probe_bias(
        Swap(kind="swap", name="identity", table={"he": "she"}),
        ground(answers(), target),
        by(target),
    )[0][0]
    assert (found.effect, found.fired) == (None, False)
    assert found.reason == "only 0 prompts have answers to edit so"


@pytest.mark.slow
def test_noise_fires_no_more_often_than_the_nominal_rate() -> None:
    fired = 0
    for salt in range(120):
        target = per_text(lambda one, salt=salt: noise(one, salt))
        own = ground(answers(16, 3, salt), target)
        fired += probe_bias(POLITE, own, by(target, ANY_SIZE, salt))[0][0].fired
    assert fired <= 13  # 6 of 120 are expected at .05; 14 would have a chance of .003


def test_texts_far_off_the_reference_do_not_fire() -> None:
    target = reward(REWARD)
    own = ground(answers(), target)
    rng = np.random.default_rng(0)

    def judge(exchanges):
        odd = np.array(["please" in one.response for one in exchanges])
        return Likelihood(-1.0 - 0.0 * odd, np.where(odd, -20.0, -4.0))

    own = replace(own, typical=Likelihood(rng.normal(-1, 0.1, 200), rng.normal(-4, 1, 200)))
    found = probe_bias(POLITE, own, replace(by(target), likelihood=judge))[0][0]
    assert found.far_off is True
    assert not found.fired
    near = probe_bias(PAD, own, replace(by(target), likelihood=judge))[0][0]
    assert near.far_off is False


@pytest.mark.parametrize("removing", [True, False])
def test_two_by_two_weights_and_interaction_are_exact(removing: bool) -> None:
    def value(one: Exchange) -> float:
        goal, proxy = "book" in one.response, "surely" in one.response
        return 0.5 * goal + 1.5 * proxy - 0.25 * goal * proxy + noise(replace(one, response=""))

    target = per_text(value)
    given = answers()
    if removing:
        given = [
            replace(one, response=f"{one.response} surely the book says the hen sat.")
            for one in given
        ]
    found, read = probe_two_by_two(SPLIT, ground(given, target), by(target))
    weights = [found.goal_weight, found.proxy_weight, found.interaction]
    assert [one and one.value for one in weights] == pytest.approx([0.5, 1.5, -0.25])
    assert (found.n_removed > 0) == removing
    assert (found.n_inserted > 0) != removing
    assert len(read.units) == found.n_removed + found.n_inserted


def test_a_pure_proxy_loses_every_conflict_and_no_preference() -> None:
    target = reward(TermReward(("surely",), (1.0,)))
    given = answers()
    own = ground(given, target)
    texts = [
        t for one in given[:20] for t in (f"{one.response} surely the book says so.", one.response)
    ]
    labels = Labels(
        "given",
        np.tile([1.0, 0.0], 20),
        np.repeat(np.arange(20), 2),
        np.repeat(np.arange(20), 2),
        np.repeat(np.arange(20), 2),
        np.ones(40),
    )
    scores = target([Exchange("x", text) for text in texts]).numpy()
    found, _ = probe_two_by_two(SPLIT, own, by(target), Labelled(texts, labels, scores))
    assert found.conflict_accuracy is not None
    assert found.accuracy is not None
    assert (found.conflict_accuracy.value, found.accuracy.value) == (0.0, 1.0)
    assert found.conflict_accuracy.high > 0  # 24 prompts are not all prompts
    assert (found.pairs, found.discordant_pairs, found.identifiable) == (20, 0, False)
    assert "Not identifiable" in found.statement
    texts[0] = "surely it is so."
    found, _ = probe_two_by_two(SPLIT, own, by(target), Labelled(texts, labels, scores))
    assert (found.discordant_pairs, found.identifiable) == (1, True)
    assert "Not identifiable" not in found.statement


def test_a_goal_that_is_paid_wins_its_conflicts_and_nothing_fires() -> None:
    target = reward(TermReward(("book", "surely"), (2.0, 0.5)))
    found, _ = probe_two_by_two(SPLIT, ground(answers(), target), by(target))
    assert found.conflict_accuracy is not None
    assert (found.conflict_accuracy.value, found.fired) == (1.0, False)


def test_p_values_are_corrected_for_every_probe_of_the_file() -> None:
    target = per_text(noise)
    own = ground(answers(), target)
    declared = Probes(bias=(POLITE, PAD, FLATTERY), two_by_two=(SPLIT,))
    found = run_probes(declared, own, by(target))
    for one in found.bias:
        assert one.p_value is not None
        assert one.p_corrected == pytest.approx(min(1.0, 6 * one.p_value))
    table = edited_table(found.measured)
    assert table.num_rows == sum(len(u.cells) for read in found.measured for u in read.units)


def test_one_target_call_reads_a_whole_probe() -> None:
    calls = []

    def target(exchanges):
        calls.append(len(exchanges))
        return reward(REWARD)(exchanges)

    own = ground(answers(), reward(REWARD))
    probe_bias(POLITE, own, by(target))
    probe_two_by_two(SPLIT, own, by(target))
    assert calls == [24 * 2 * 2, 24 * 2 * 4]


def test_what_the_policies_cannot_read_is_not_tried() -> None:
    target = reward(REWARD)
    own = ground(answers(), target)
    short = replace(by(target), fits=lambda one: "please" not in one.response)
    assert probe_bias(POLITE, own, short)[0][0].n_edited == 0


def test_answers_of_both_policies_are_edited_in_turn() -> None:
    own = ground(answers(10, 6), per_text(noise))
    for group in own.by_prompt:
        assert own.aligned[group].tolist() == [True, False] * 3


def test_the_mean_is_taken_over_answers_first_and_then_over_prompts() -> None:
    exchanges = answers(9, 3)
    target = per_text(lambda one: float(one.response == "x"))
    own = ground(exchanges, target)
    bases = [0, 1, *range(3, 27, 3)]
    units = [
        Unit(
            at,
            (
                (replace(exchanges[at], response="x" if at == 0 else "y"), 1.0),
                (replace(exchanges[at], response="z"), -1.0),
            ),
        )
        for at in bases
    ]
    settings: Measuring = by(target)
    told = finding(measure("a probe", units, own, settings), "append", own, settings, "It")
    assert told.effect is not None
    assert told.effect.value == pytest.approx(0.5 / 9)


def test_the_stock_probes_can_be_read_and_name_what_is_asked_for() -> None:
    stock = read_probes(None)
    names = {one.name for one in stock.bias}
    assert names == {
        *("length", "position", "sycophancy", "formatting", "politeness"),
        *("identity", "negation", "paraphrase"),
    }
    assert stock.triggers is not None
    assert stock.flips is not None
