"""Faithfulness: oracles that no order may beat, and controls that must fail."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from explain.attribution.control import randomised
from explain.attribution.embedded import embedded_log_ratio
from explain.attribution.gradients import integrated_gradients
from explain.attribution.metrics import infidelity, sensitivity
from explain.attribution.removal import ablation
from explain.cuts import words
from explain.faithfulness import faithfulness, rank_agreement
from explain.segments import segments
from explain.targets import Exchange, reward
from irl.policies.pair import PolicyPair, load_pair
from irl.rewards.terms import TermReward
from tests import fakes

_WEIGHTS = {"a": 3.0, "b": 1.0, "c": 0.0, "d": -2.0}
_SAID = Exchange("say", "c a d b")


def _target(exchanges: Sequence[Exchange]) -> Tensor:
    return reward(TermReward(tuple(_WEIGHTS), tuple(_WEIGHTS.values())))(exchanges)


def _truth():
    return ablation(_target, _SAID, segments(_SAID, words, prompt=False))


def test_no_order_beats_the_true_weights_and_chance_is_no_better() -> None:
    truth = _truth()
    best = faithfulness(_target, _SAID, truth)
    assert best is not None
    for order in permutations(range(4)):
        other = faithfulness(_target, _SAID, replace(truth, values=truth.values[list(order)]))
        assert other is not None
        assert other.ordered.deletion_area >= best.ordered.deletion_area - 1e-9
        assert other.ordered.insertion_area <= best.ordered.insertion_area + 1e-9
        assert other.random.deletion_area == best.random.deletion_area
    assert best.random.deletion_area > best.ordered.deletion_area
    np.testing.assert_allclose(best.ordered.deletion, [1, -0.5, -1, -1, 0], atol=1e-6)
    np.testing.assert_allclose(best.ordered.insertion, [0, 1.5, 2, 2, 1], atol=1e-6)


def test_shares_do_not_depend_on_scale_or_sign_of_the_target() -> None:
    truth, plain = _truth(), faithfulness(_target, _SAID, _truth())
    for factor in (-2.0, 0.1):

        def scaled(exchanges: Sequence[Exchange], factor: float = factor) -> Tensor:
            return factor * _target(exchanges) + 7.0

        other = faithfulness(scaled, _SAID, replace(truth, values=factor * truth.values))
        assert plain is not None
        assert other is not None
        assert other.ordered.comprehensiveness == pytest.approx(plain.ordered.comprehensiveness)
        assert other.ordered.sufficiency == pytest.approx(plain.ordered.sufficiency)


def test_where_nothing_is_to_be_explained_nothing_is_measured() -> None:
    indifferent = Exchange("say", "c c c")
    found = ablation(_target, indifferent, segments(indifferent, words, prompt=False))
    assert faithfulness(_target, indifferent, found) is None
    assert infidelity(_target, indifferent, found) is None


def test_infidelity_is_nought_for_the_truth_and_one_for_nothing() -> None:
    truth = _truth()
    assert infidelity(_target, _SAID, truth) == pytest.approx(0.0, abs=1e-9)
    nothing = replace(truth, values=np.zeros(4))
    assert infidelity(_target, _SAID, nothing) == pytest.approx(1.0)
    halved = replace(truth, values=truth.values / 2)
    assert infidelity(_target, _SAID, halved) == pytest.approx(0.25)


def test_methods_agree_by_rank() -> None:
    truth = _truth()
    assert rank_agreement(truth, replace(truth, values=truth.values**3)) == pytest.approx(1.0)
    assert rank_agreement(truth, replace(truth, values=-truth.values)) == pytest.approx(-1.0)
    assert rank_agreement(truth, replace(truth, values=np.ones(4))) is None
    with pytest.raises(ValueError, match="different segments"):
        rank_agreement(truth, replace(truth, segments=truth.segments[:3]))


def test_gradients_of_a_model_that_has_learnt_nothing_look_otherwise(tmp_path: Path) -> None:
    pair = load_pair(*map(str, fakes.save_pair(tmp_path)))
    embedded = embedded_log_ratio(pair)(Exchange("what is it?", " that is a stupid idea."))
    before = {name: one.clone() for name, one in pair.aligned.model.state_dict().items()}
    found = integrated_gradients(embedded)
    with randomised(embedded):
        control = integrated_gradients(embedded)
    agreement = rank_agreement(found, control)
    assert agreement is not None
    assert abs(agreement) < 0.9
    after = pair.aligned.model.state_dict()
    assert all(torch.equal(after[name], one) for name, one in before.items())
    np.testing.assert_array_equal(integrated_gradients(embedded).values, found.values)


@pytest.mark.slow
def test_sensitivity_grows_with_nothing_but_the_model(tmp_path: Path) -> None:
    pair = load_pair(*map(str, fakes.save_pair(tmp_path)))
    embedded = embedded_log_ratio(pair)(Exchange("what is it?", " that is a stupid idea."))
    value = sensitivity(embedded, steps=32)
    assert value is not None
    assert value > 0
    assert sensitivity(embedded, steps=32) == value


def test_the_map_of_two_policies_that_are_the_same_has_no_sensitivity() -> None:
    same = fakes.policy(fakes.model("llama"))
    embedded = embedded_log_ratio(PolicyPair(same, same))(Exchange("what is it?", " an idea."))
    assert sensitivity(embedded, steps=4) is None


@pytest.mark.parametrize(("architecture", "tied"), [("llama", False), ("llama_tied", True)])
def test_a_head_is_shuffled_unless_it_is_the_embeddings(architecture: str, tied: bool) -> None:
    same = fakes.policy(fakes.model(architecture))
    embedded = embedded_log_ratio(PolicyPair(same, same))(Exchange("what is it?", " an idea."))
    head = same.model.get_output_embeddings().weight
    before = head.detach().clone()
    with randomised(embedded):
        assert torch.equal(head, before) == tied
        assert torch.equal(head.flatten().sort()[0], before.flatten().sort()[0])
    assert torch.equal(head, before)
