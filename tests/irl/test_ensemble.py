"""An ensemble's arithmetic: units, aggregations, disagreement, and what is stored."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from irl.errors import InputError
from irl.rewards.aggregation import KINDS, Aggregation, disagreement, uncertainty_weighted
from irl.rewards.ensemble import Ensemble, reference_sample
from irl.rewards.features import WordCounts
from irl.rewards.head_reward import HeadReward
from irl.rewards.heads import Layers, linear
from irl.rewards.stored import load_reward

SCORES = torch.tensor([[0.0, 1.0, -2.0], [3.0, 1.0, 0.0], [6.0, 1.0, 5.0]])
TEXTS = ["a fool", "fool fool", "a nice day", "nice nice fool", "nothing"]
constants = st.floats(-5, 5, width=32)


def ensemble(kind: str = "mean", **parameters: float) -> Ensemble:
    head = linear(3, 2, torch.Generator())
    weights = torch.tensor([[-1.0, 0.5], [-2.0, 1.0], [-30.0, 20.0]])
    reward = HeadReward(WordCounts(("fool", "nice")), Layers.holding(head, [weights[..., None]]))
    return Ensemble.standardised(reward, reward.members(TEXTS), Aggregation(kind, **parameters))


def test_aggregations_are_those_of_their_papers():
    assert Aggregation("mean")(SCORES).tolist() == [3, 1, 1]
    assert Aggregation("median")(SCORES).tolist() == [3, 1, 0]
    assert Aggregation("min")(SCORES).tolist() == [0, 1, -2]
    assert Aggregation("quantile", level=0.5)(SCORES).tolist() == [3, 1, 0]
    assert Aggregation("quantile", level=0.0)(SCORES).tolist() == [0, 1, -2]
    # variances with ddof 0: 6, 0, 26/3
    torch.testing.assert_close(
        Aggregation("uwo", penalty=0.5)(SCORES), torch.tensor([0, 1, 1 - 13 / 3])
    )


def test_lambda_zero_is_the_mean_to_the_last_bit():
    assert torch.equal(uncertainty_weighted(SCORES / 3, 0.0), (SCORES / 3).mean(0))


@pytest.mark.parametrize("kind", KINDS)
def test_one_member_says_what_it_says(kind: str):
    assert torch.equal(Aggregation(kind)(SCORES[:1]), SCORES[0])


@given(st.lists(constants, min_size=3, max_size=3))
def test_disagreement_of_a_pair_does_not_know_the_constants_of_members(shift: list[float]):
    moved = SCORES + torch.tensor(shift)[:, None]
    margins, others = SCORES[:, :1] - SCORES[:, 1:], moved[:, :1] - moved[:, 1:]
    torch.testing.assert_close(disagreement(margins), disagreement(others), atol=1e-4, rtol=0)
    torch.testing.assert_close(disagreement(margins), margins.std(0))


@settings(max_examples=25, deadline=None)
@given(st.floats(0.01, 100), constants)
def test_members_are_the_same_whatever_their_unit_and_zero_were(scale: float, shift: float):
    found = ensemble()
    raw = found.reward.members(TEXTS)
    other = Ensemble.standardised(found.reward, raw * scale + shift, found.aggregation)
    torch.testing.assert_close(
        other.in_units(raw * scale + shift), found.in_units(raw), atol=1e-3, rtol=1e-3
    )


def test_the_reference_sample_has_mean_zero_and_deviation_one():
    scores = ensemble().members(TEXTS)
    torch.testing.assert_close(scores.mean(1), torch.zeros(3), atol=1e-6, rtol=0)
    torch.testing.assert_close(scores.std(1, correction=0), torch.ones(3))


def test_a_member_that_says_nothing_is_left_out_and_an_ensemble_of_such_refused():
    found = ensemble()
    raw = found.reward.members(TEXTS).clone()
    raw[1] = 3.0
    rest = Ensemble.standardised(found.reward, raw, found.aggregation)
    assert torch.equal(rest.members(TEXTS), found.members(TEXTS)[[0, 2]])
    reward = HeadReward(WordCounts(("fool",)), linear(2, 1, torch.Generator()))
    with pytest.raises(InputError, match="All 2 members say the same of every answer"):
        Ensemble.standardised(reward, reward.members(TEXTS), Aggregation())
    with pytest.raises(InputError, match="NaN"):
        Ensemble.standardised(reward, torch.full((2, 5), torch.nan), Aggregation())


@pytest.mark.parametrize("kind", KINDS)
def test_a_stored_ensemble_is_the_same_to_the_last_bit(kind: str, tmp_path: Path):
    before = ensemble(kind, penalty=0.3, level=0.4)
    before.save(tmp_path)
    again = load_reward(tmp_path)
    assert isinstance(again, Ensemble)
    assert again.aggregation == before.aggregation
    assert torch.equal(again(TEXTS), before(TEXTS))
    assert again([]).shape == (0,)


def test_a_damaged_ensemble_is_refused(tmp_path: Path):
    ensemble().save(tmp_path)
    (tmp_path / "ensemble.safetensors").write_bytes(b"no")
    with pytest.raises(InputError, match="no ensemble that can be read"):
        load_reward(tmp_path)


def test_the_reference_sample_is_drawn_by_the_seed_alone():
    one = reference_sample(5, 20, seed=3)
    assert torch.equal(one, reference_sample(5, 20, seed=3))
    assert len(set(one.tolist())) == 5
    assert len(reference_sample(50, 20, seed=0)) == 20
