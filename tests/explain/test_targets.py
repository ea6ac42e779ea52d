"""Targets: scalars of (prompt, response)."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from explain.targets import Exchange, disagreement, log_ratio, margin, reward
from irl.errors import InputError
from irl.policies.pair import load_pair
from irl.records import PromptCondition
from irl.rewards.features import WordCounts
from irl.rewards.head_reward import HeadReward
from irl.rewards.heads import linear
from irl.rewards.terms import TermReward
from tests import fakes

_CIVIL = Exchange("hello", "you are kind")
_RUDE = Exchange("hello", "you are a fool fool")


def test_a_reward_is_a_target_of_the_response_and_of_the_prompts_type() -> None:
    condition = PromptCondition(prompt_type="opinion")
    target = reward(TermReward(("fool", "kind"), (-1.0, 2.0), conditions=(None, condition)))
    asked = Exchange("hello", "you are kind", "opinion")
    assert target([_CIVIL, _RUDE, asked]).tolist() == [0.0, -2.0, 2.0]
    assert len(target([])) == 0


def test_a_margin_is_free_of_what_the_prompt_adds() -> None:
    def target(exchanges: Sequence[Exchange]) -> Tensor:
        return torch.tensor([float(len(e.response) + 100 * len(e.prompt)) for e in exchanges])

    given = margin(target, rejected="abc")([Exchange("x", "abcde"), Exchange("longer", "abcde")])
    assert given.tolist() == [2.0, 2.0]


def test_the_log_ratio_is_the_difference_of_the_models_own_losses(tmp_path: Path) -> None:
    aligned, reference = fakes.save_pair(tmp_path)
    pair = load_pair(str(aligned), str(reference))
    (value,) = log_ratio(pair)([Exchange("the cat", " sat on the mat")]).tolist()
    prompt = pair.tokenizer("the cat")["input_ids"]
    ids = pair.tokenizer("the cat sat on the mat")["input_ids"]
    row = torch.tensor([[*ids, pair.tokenizer.eos_token_id]])
    labels = row.clone()
    labels[:, : len(prompt)] = -100
    n = row.shape[1] - len(prompt)
    losses = [side.model(row, labels=labels).loss.item() for side in (pair.aligned, pair.reference)]
    assert value == pytest.approx((losses[1] - losses[0]) * n, abs=1e-4)


def test_what_is_too_long_for_the_policies_is_refused(tmp_path: Path) -> None:
    aligned, reference = fakes.save_pair(tmp_path)
    target = log_ratio(load_pair(str(aligned), str(reference)))
    with pytest.raises(InputError, match="the policies read 64"):
        target([Exchange("the cat", " and the dog" * 60)])


def test_disagreement_is_the_spread_of_the_members_and_needs_two() -> None:
    head = linear(2, 1, torch.Generator().manual_seed(0))
    target = disagreement(HeadReward(WordCounts(("fool",)), head))
    with torch.no_grad():
        members = head(torch.tensor([[2.0]])).squeeze(1).double()
    assert float(target([_RUDE])) == pytest.approx(float(members.std()), abs=1e-6)
    with pytest.raises(InputError, match="one member"):
        disagreement(HeadReward(WordCounts(("fool",)), linear(1, 1, torch.Generator())))
