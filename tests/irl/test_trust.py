"""Trust against closed forms: weights, variances that add up, and a light that fails safe."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irl.errors import InputError
from irl.evaluation.pair_figures import mean_of
from irl.evaluation.trust import (
    ENOUGH_ANSWERS,
    LEVEL,
    Limits,
    as_detected,
    effective_share,
    lamp,
    limit_of,
    probability,
    share_beyond,
    signals,
    spread,
    uncertainty,
)
from irl.evaluation.trust_measures import (
    Judged,
    Judgement,
    Seen,
    at_best,
    grouped,
    groups_of,
    measured,
)
from irl.records import Estimate, TrustGroup, TrustMeasures

PROMPTS, EACH, MEMBERS = 40, 6, 5
PROMPT = np.repeat(np.arange(PROMPTS), EACH)


def estimate(value: float, half: float = 0.0) -> Estimate:
    return Estimate(value=value, low=value - half, high=value + half, n=40)


def measures(**changes: Estimate | None) -> TrustMeasures:
    """All in the green of a reward that was fitted to 1000 answers."""
    names = {"kl_nats": estimate(0.1, 0.05), "effective_share": estimate(0.9, 0.05)}
    names |= {"beyond": estimate(0.05, 0.01), "unsettled": estimate(0.05, 0.01)}
    plain = ("epistemic", "aleatoric", "spread", "distance", "reward_gain", "length_gain")
    known = {name: estimate(0.0) for name in plain} | names | changes
    counts = {"responses": 240, "prompts": 40, "effective_answers": None}
    return TrustMeasures(**known, **counts)


def light(fitted: int = 1000, accuracy: Estimate | None = None, **changes: Estimate | None) -> str:
    right = accuracy or estimate(0.9, 0.05)
    return lamp(signals(measures(**changes), Limits(fitted, 0.1, 1.5), right)).colour


# Effective sample size and KL


def test_equal_policies_use_every_answer():
    found = effective_share(np.zeros(len(PROMPT)), PROMPT)
    assert found is not None
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)


def test_the_share_is_one_over_the_second_moment_of_the_weights():
    """Two answers: the data's policy says each half of the time, the other one 9 of 10 and 1."""
    data, policy = np.array([0.5, 0.5]), np.array([0.9, 0.1])
    ratio = np.log(policy / data)
    said = np.tile([0, 1], 200)
    found = effective_share(ratio[said], np.arange(400) // 4)
    assert found is not None
    assert found.value == pytest.approx(1 / (data * (policy / data) ** 2).sum())
    kl = float((policy * ratio).sum())
    assert found.value <= np.exp(-kl), "Jensen: E_policy[w] is at least exp(KL)"


@pytest.mark.parametrize("shift", [0.0, 0.5, 1.0])
def test_kl_and_share_of_two_gaussians(shift: float):
    """N(m, 1) against N(0, 1): KL m^2 / 2, E[w^2] = exp(m^2)."""
    generator = np.random.default_rng(0)
    theirs = generator.normal(size=20_000)
    ours = generator.normal(size=20_000) + shift
    prompt = np.arange(20_000) // 100

    def log_ratio(y: np.ndarray) -> np.ndarray:
        return shift * y - shift**2 / 2

    kl, share = mean_of(log_ratio(ours), prompt), effective_share(log_ratio(theirs), prompt)
    assert kl is not None
    assert share is not None
    assert kl.value == pytest.approx(shift**2 / 2, abs=0.05)
    assert share.value == pytest.approx(np.exp(-(shift**2)), rel=0.25)
    assert share.value <= np.exp(-kl.value) + 0.01


@settings(max_examples=15)
@given(st.floats(-1e4, 1e4), st.integers(0, 10_000))
def test_a_constant_of_the_log_weights_changes_no_share(constant: float, seed: int):
    weights = np.random.default_rng(seed).normal(size=60) * 3
    prompt = np.arange(60) // 3
    one, other = effective_share(weights, prompt), effective_share(weights + constant, prompt)
    assert one is not None
    assert other is not None
    assert other.value == pytest.approx(one.value, rel=1e-6)
    assert 1 / 60 - 1e-12 <= one.value <= 1


def test_answers_that_the_policy_never_gives_have_no_weight():
    weights = np.array([0.0, -np.inf, 0.0, -np.inf])
    found = effective_share(weights, np.arange(4))
    assert found is not None
    assert found.value == 0.5
    assert effective_share(np.full(4, -np.inf), np.arange(4)) is None


# What members say


def scores(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Of responses, and of the data policy's answers, [member, ...]."""
    generator = np.random.default_rng(seed)
    answers = generator.normal(size=(MEMBERS, PROMPTS, EACH))
    return generator.normal(size=(MEMBERS, PROMPTS * EACH)) + 1, answers


def test_both_variances_add_up_to_that_of_a_coin_of_the_mean_probability():
    generator = np.random.default_rng(1)
    ours, answers = generator.normal(size=(MEMBERS, 9)), generator.normal(size=(MEMBERS, 9, 1))
    said = uncertainty(ours, answers, np.arange(9), 1.7)
    p = said.probability
    assert said.epistemic + said.aleatoric == pytest.approx(p * (1 - p))


def test_two_members_that_part_by_d_have_the_variance_of_two_points():
    ours, answers = np.array([[1.0], [3.0]]), np.zeros((2, 1, 4))
    said = uncertainty(ours, answers, np.zeros(1, dtype=np.int64), 1.0)
    assert said.spread == pytest.approx([1.0]), "((3 - 1) / 2)^2, ddof 0"
    p = 1 / (1 + np.exp(-np.array([1.0, 3.0])))
    assert said.epistemic == pytest.approx([(p[0] - p[1]) ** 2 / 4])
    assert said.aleatoric == pytest.approx([(p * (1 - p)).mean()])


def test_a_constant_of_the_prompt_changes_nothing_even_one_of_each_member():
    ours, answers = scores()
    constant = np.random.default_rng(2).normal(size=(MEMBERS, PROMPTS)) * 10
    one = uncertainty(ours, answers, PROMPT, 0.8)
    moved = uncertainty(ours + constant[:, PROMPT], answers + constant[:, :, None], PROMPT, 0.8)
    for name in ("probability", "epistemic", "aleatoric", "spread", "of_pairs"):
        assert getattr(moved, name) == pytest.approx(getattr(one, name)), name


def test_members_that_agree_have_no_variance_and_far_from_data_only_the_spread_is_left():
    ours, answers = scores()
    same = uncertainty(
        np.tile(ours[:1], (MEMBERS, 1)), np.tile(answers[:1], (5, 1, 1)), PROMPT, 1.0
    )
    assert same.epistemic == pytest.approx(0)
    assert same.spread == pytest.approx(0)
    far = uncertainty(ours * 20 + 1000, answers, PROMPT, 1.0)
    assert far.epistemic.max() < 1e-6, "every member is sure"
    assert far.spread.mean() > 100


def test_own_answers_are_held_against_the_others_alone():
    _, answers = scores()
    flat = answers.reshape(MEMBERS, -1)
    own = uncertainty(flat, answers, PROMPT, 1.0, own=True)
    first = [uncertainty(flat[:, :1], answers[:, :1, 1:], np.zeros(1, dtype=int), 1.0)]
    assert own.probability[0] == pytest.approx(first[0].probability[0])
    assert own.probability.mean() == pytest.approx(0.5), "each of two beats the other"
    assert np.isnan(own.of_pairs).sum() == len(PROMPT)


def test_held_out_answers_lie_beyond_their_own_limit_as_often_as_it_says():
    values = np.random.default_rng(3).exponential(size=20_000)
    found = share_beyond(values, limit_of(values), np.arange(20_000) // 10)
    assert found is not None
    assert found.value == pytest.approx(1 - LEVEL, abs=1e-3)
    with pytest.raises(InputError, match="No held-out answer"):
        limit_of(np.empty(0))


def test_spread_and_probability_of_pairs_are_those_of_responses():
    ours, answers = scores()
    said = uncertainty(ours, answers, PROMPT, 0.5)
    margins = ours[:, :1] - answers[:, 0, :]
    assert spread(margins) == pytest.approx(said.of_pairs[0])
    assert probability(margins, 0.5).mean() == pytest.approx(said.probability[0])


# The light


def test_all_in_their_bands_is_green_with_every_figure_as_the_reason():
    assert light() == "green"
    found = lamp(signals(measures(), Limits(1000, 0.1, 1.5), estimate(0.9, 0.05)))
    assert len(found.reasons) == 5


def test_variance_alone_never_turns_it_green():
    """Nothing but small variance is known; then small distance too."""
    assert light(kl_nats=None, effective_share=None, beyond=None) == "amber"
    assert light(kl_nats=None, effective_share=None) == "amber"
    assert light(kl_nats=None) == "amber"
    assert light(unsettled=estimate(0.0)) == "green", "beside all the others it does no harm"


@pytest.mark.parametrize(
    ("auc", "colour"),
    [(estimate(0.95, 0.01), "green"), (estimate(0.75, 0.1), "amber"), (None, "amber")],
)
def test_distance_is_green_only_where_it_finds_what_was_planted(auc: Estimate | None, colour: str):
    limits, right = Limits(1000, 0.1, 1.5), estimate(0.9, 0.05)
    found = as_detected(signals(measures(), limits, right), auc)
    assert lamp(found).colour == colour
    assert [one.name for one in found if one.colour != "green"] == (
        [] if colour == "green" else ["distance"]
    )
    assert Judgement(limits, right, auc).colour(measures()) == colour, "of a group as well"
    far = signals(measures(beyond=estimate(0.6)), limits, right)
    assert as_detected(far, auc) == far, "what is far is red whatever was planted"


def test_no_group_is_better_than_what_is_capped():
    one = TrustGroup(group="g", measures=measures(), colour="green")
    two = TrustGroup(group="h", measures=measures(), colour="red")
    assert [each.colour for each in at_best([one, two], "amber")] == ["amber", "red"]


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_no_variance_turns_a_collapsed_policy_green(beyond: float, unsettled: float, share: float):
    found = light(
        kl_nats=estimate(60.0, 1.0),
        effective_share=estimate(share),
        beyond=estimate(beyond),
        unsettled=estimate(unsettled),
    )
    assert found == "red"


@pytest.mark.parametrize(
    ("changes", "colour"),
    [
        ({"kl_nats": estimate(np.log(10) - 0.01)}, "green"),
        ({"kl_nats": estimate(np.log(10) - 0.01, 0.02)}, "amber"),
        ({"kl_nats": estimate(np.log(100) + 0.01)}, "red"),
        ({"effective_share": estimate(0.11)}, "green"),
        ({"effective_share": estimate(0.11, 0.02)}, "amber"),
        ({"effective_share": estimate(0.0009)}, "red"),
        ({"beyond": estimate(0.2)}, "amber"),
        ({"beyond": estimate(0.6)}, "red"),
        ({"unsettled": estimate(0.2)}, "amber"),
        ({"unsettled": estimate(0.6)}, "red"),
    ],
)
def test_every_measure_has_its_bands_and_the_light_is_the_worst(
    changes: dict[str, Estimate], colour: str
):
    assert light(**changes) == colour


def test_a_reward_that_is_right_no_more_often_than_a_coin_is_red():
    assert light(accuracy=estimate(0.49, 0.05)) == "red"
    assert light(accuracy=estimate(0.53, 0.05)) == "amber"


def test_a_reward_of_too_few_answers_is_never_green():
    few = ENOUGH_ANSWERS - 1
    assert light(few, kl_nats=estimate(0.0), effective_share=estimate(1.0)) != "green"


# All measures together


def seen(ratio: float | None = 0.0) -> Seen:
    ours, answers = scores()
    theirs = answers.reshape(MEMBERS, -1)
    known = None if ratio is None else np.full(len(PROMPT), ratio)
    length = np.full(len(PROMPT), 5.0)
    return Seen(
        Judged(PROMPT, ours.mean(0), length + 1, known),
        Judged(PROMPT, theirs.mean(0), length, known),
        uncertainty(ours, answers, PROMPT, 1.0),
        np.ones(len(PROMPT)),
    )


def test_gains_are_over_the_datas_policy_in_its_own_units():
    found = measured(seen(), Limits(300, 0.1, 2.0))
    ours, answers = scores()
    theirs = answers.reshape(MEMBERS, -1).mean(0)
    assert found.reward_gain is not None
    assert found.reward_gain.value == pytest.approx((ours.mean(0) - theirs).mean() / theirs.std())
    assert found.length_gain is not None
    assert found.length_gain.value == pytest.approx(1)
    assert found.effective_answers == pytest.approx(300)
    assert (found.responses, found.prompts) == (240, 40)


def test_groups_hold_each_response_once_and_one_group_is_none():
    names = ["odd" if at % 2 else "even" for at in range(PROMPTS)]
    judged = Judgement(Limits(300, 0.1, 2.0), estimate(0.9), estimate(0.95))
    found = grouped(seen(), judged, names)
    assert [one.group for one in found] == ["even", "odd"]
    assert sum(one.measures.responses for one in found) == len(PROMPT)
    assert grouped(seen(), judged, ["all"] * PROMPTS) == []
    unknown = grouped(seen(None), judged, names)
    assert {one.measures.kl_nats for one in unknown} == {None}
    assert "green" not in {one.colour for one in unknown}


def test_prompts_are_grouped_by_type_or_else_by_length():
    assert groups_of(["a b", "c"], ["chat", None]) == ["chat", "no type"]
    texts = [" ".join(["word"] * n) for n in (1, 1, 2, 2, 5, 5, 9, 9)]
    found = groups_of(texts, [None] * 8)
    assert list(dict.fromkeys(found)) == ["1 to 2 words", "5 words", "9 words"]
    with pytest.raises(InputError, match="do not go together"):
        groups_of(["a"], [])
