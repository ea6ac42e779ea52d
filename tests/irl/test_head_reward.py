"""Reward heads on text: stored to the last bit, chosen without labels, reported without a best."""

import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from irl.errors import InputError
from irl.evaluation.spread import spread
from irl.recovery.consensus import consensus
from irl.rewards.features import WordCounts
from irl.rewards.head_reward import HeadReward
from irl.rewards.heads import Head, linear, mlp
from irl.rewards.stored import load_reward
from irl.rewards.terms import TermReward

WORDS = WordCounts(("good", "bad", "day"))
TEXTS = ["Good day, good sir!", "", "a bad, bad day", "nothing of the kind"]


def drawn(head: Head, seed: int = 0) -> Head:
    with torch.no_grad():
        for weight in head.parameters():
            weight.normal_(generator=torch.Generator().manual_seed(seed))
    return head


@pytest.fixture(params=["linear", "mlp"])
def reward(request: pytest.FixtureRequest) -> HeadReward:
    form = linear if request.param == "linear" else mlp(4, 4)
    return HeadReward(WORDS, drawn(form(3, 3, torch.Generator())), chosen=1)


def test_words_are_counted_whatever_their_case():
    assert WORDS(TEXTS).tolist() == [[2, 0, 1], [0, 0, 0], [0, 2, 1], [0, 0, 0]]


def test_the_chosen_member_speaks(reward: HeadReward):
    members = reward.members(TEXTS)
    assert members.shape == (3, 4)
    assert torch.equal(reward(TEXTS), members[1])
    assert torch.equal(reward.head(WORDS(TEXTS)), members)


def test_the_score_of_a_text_does_not_depend_on_its_batch(reward: HeadReward):
    """A released reward map depended on batch mates."""
    together = reward(TEXTS)
    alone = torch.cat([reward([text]) for text in TEXTS])
    assert torch.allclose(together, alone, atol=1e-6)
    assert torch.allclose(reward(TEXTS[::-1]), together.flip(0), atol=1e-6)


def test_a_word_inside_a_text_counts_as_much_as_at_its_end():
    """A released trainer read only the last character."""
    reward = HeadReward(WORDS, drawn(linear(1, 3, torch.Generator())))
    first, middle, last = reward(["bad x y", "x bad y", "x y bad"]).tolist()
    assert first == middle == last != float(reward(["x y"]))


def test_a_stored_reward_is_the_same_to_the_last_bit(reward: HeadReward, tmp_path: Path):
    reward.save(tmp_path, "bt", method="bradley-terry")
    again = HeadReward.load(tmp_path, "bt")
    assert torch.equal(again.members(TEXTS), reward.members(TEXTS))
    assert again.chosen == reward.chosen
    assert json.loads((tmp_path / "bt.json").read_text())["method"] == "bradley-terry"


@pytest.mark.parametrize("damage", ["missing", "cut", "kind", "sizes"])
def test_what_is_no_stored_head_is_refused(reward: HeadReward, tmp_path: Path, damage: str):
    reward.save(tmp_path, "bt")
    file, document = tmp_path / "bt.json", json.loads((tmp_path / "bt.json").read_text())
    if damage == "missing":
        (tmp_path / "bt.safetensors").unlink()
    elif damage == "cut":
        file.write_text(file.read_text()[:20])
    else:
        changed = {"kind": "terms"} if damage == "kind" else {"sizes": [5, 1]}
        file.write_text(json.dumps(document | changed))
    with pytest.raises(InputError, match="reward"):
        HeadReward.load(tmp_path, "bt")


def test_a_folder_gives_back_whatever_reward_it_holds(reward: HeadReward, tmp_path: Path):
    with pytest.raises(InputError, match="irl recover"):
        load_reward(tmp_path)
    reward.save(tmp_path, "head")
    found = load_reward(tmp_path)
    assert isinstance(found, HeadReward)
    assert torch.equal(found(TEXTS), reward(TEXTS))
    TermReward(("bad",), (-1.0,)).save(tmp_path, "terms")
    assert load_reward(tmp_path)(TEXTS).tolist() == [0, 0, -2, 0]


# Consensus

PROMPT = torch.arange(20).repeat_interleave(4)


def scores(*members: float, noise: float = 0.3) -> Tensor:
    """Members with a share of a common reward, and noise of their own."""
    generator = torch.Generator().manual_seed(0)
    common = torch.randn(80, generator=generator)
    own = torch.randn(len(members), 80, generator=generator)
    return torch.tensor(members)[:, None] * common + noise * own


def test_the_member_that_agrees_with_most_is_chosen():
    found = consensus(scores(1.0, 1.0, -1.0, 1.0, 0.3), PROMPT)
    assert found.chosen in (0, 1, 3)
    assert int(found.agreement.argmin()) == 2
    assert not found.constant.any()


def test_the_choice_is_the_largest_mean_correlation_of_centred_scores():
    given = scores(1.0, 0.5, 0.8, -0.2)
    moved = given + torch.randn(20, generator=torch.Generator().manual_seed(3))[PROMPT]
    within = torch.stack(
        [given[:, g == PROMPT] - given[:, g == PROMPT].mean(1, True) for g in range(20)]
    )
    flat = within.transpose(0, 1).flatten(1).double()
    rho = torch.corrcoef(flat)
    found = consensus(moved, PROMPT)
    assert torch.allclose(found.agreement, (rho.sum(1) - 1) / 3, atol=1e-5)
    assert found.chosen == int(found.agreement.argmax())


def test_constant_members_are_named_and_never_chosen():
    given = torch.cat([torch.zeros(1, 80), scores(1.0, 1.0), 1e-4 * scores(1.0)])
    found = consensus(given, PROMPT)
    assert found.constant.tolist() == [True, False, False, True]
    assert found.chosen in (1, 2)
    only = consensus(torch.cat([torch.zeros(2, 80), scores(1.0)]), PROMPT)
    assert only.chosen == 2
    assert only.agreement.isnan().all()


def test_a_reward_that_differs_between_prompts_only_is_constant():
    between = torch.randn(20, generator=torch.Generator().manual_seed(1))[PROMPT]
    found = consensus(torch.stack([between, scores(1.0)[0]]), PROMPT)
    assert found.constant.tolist() == [True, False]


# Spread


def test_restarts_are_reported_as_they_are():
    found = spread([0.9, 0.2, 0.7, math.nan])
    assert (found.n, found.min, found.max) == (4, 0.2, 0.9)
    assert found.mean == pytest.approx((0.9 + 0.2 + 0.7 + 0.5) / 4)
    assert found.sd == pytest.approx(torch.tensor([0.9, 0.2, 0.7, 0.5]).std().item())
    assert found.sign_flip_share == 0.25
    assert spread([0.8]).sd is None
