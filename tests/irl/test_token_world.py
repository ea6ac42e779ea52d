"""Exact organisms: what a checkpoint says is what the token MDP says."""

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor

from irl.errors import InputError
from irl.organisms.token_world import BETA, distil, draw, prompt_texts, response_texts
from irl.policies.pair import PolicyPair, load_pair
from irl.policies.sample import sample
from irl.policies.template import encode_prompt, encode_response
from irl.token_mdp import TokenMDP, along, expectation, kl_nats, solve, tokens_of


@pytest.fixture(scope="module")
def mdp() -> TokenMDP:
    return draw(0, prompts=3, vocabulary=4, horizon=3)


@pytest.fixture(scope="module")
def pair(mdp: TokenMDP, tmp_path_factory: pytest.TempPathFactory) -> PolicyPair:
    folder = tmp_path_factory.mktemp("token-world")
    distil(mdp, solve(mdp, BETA).policy, folder / "aligned")
    distil(mdp, mdp.reference, folder / "reference", seed=1)
    return load_pair(str(folder / "aligned"), str(folder / "reference"))


def scored(pair: PolicyPair, mdp: TokenMDP, side: str) -> Tensor:
    """Nats of all responses, [prompt, response, token with the end]."""
    policy = getattr(pair, side)
    return torch.stack(
        [
            torch.stack(
                policy.nats(
                    [
                        encode_response(pair.tokenizer, prompt, text, pair.eos_ids)
                        for text in response_texts(mdp)
                    ]
                )
            )
            for prompt in prompt_texts(mdp)
        ]
    ).double()


def test_a_distilled_policy_scores_every_response_as_the_policy_does(
    pair: PolicyPair, mdp: TokenMDP
):
    best = solve(mdp, BETA).policy
    for side, policy in (("aligned", best), ("reference", mdp.reference)):
        nats = scored(pair, mdp, side)
        assert nats.shape == (3, 64, 4)
        assert (nats[..., -1].abs() < 1e-6).all(), "the end is certain"
        assert (nats.sum(-1) - along(policy)).abs().max() < 1e-3


def test_a_world_too_large_for_a_checkpoint_is_refused(tmp_path: Path):
    large = draw(0, prompts=5, vocabulary=10, horizon=4)
    with pytest.raises(InputError, match="5555 are more than 4096"):
        distil(large, large.reference, tmp_path)
    assert not list(tmp_path.iterdir())


def test_token_log_ratios_of_the_checkpoints_are_the_advantages(pair: PolicyPair, mdp: TokenMDP):
    best = solve(mdp, BETA)
    ratios = scored(pair, mdp, "aligned") - scored(pair, mdp, "reference")
    for t, level in enumerate(best.advantages):
        each = level.flatten(1).repeat_interleave(64 // level[0].numel(), dim=1)
        assert (BETA * ratios[..., t] - each).abs().max() < 1e-3


def test_its_samples_end_after_the_last_token(pair: PolicyPair, mdp: TokenMDP):
    prompts = [encode_prompt(pair.tokenizer, text) for text in prompt_texts(mdp)] * 40
    generator = torch.Generator().manual_seed(0)
    drawn = sample(pair.aligned, prompts, generator, max_new_tokens=9)
    assert {len(ids) for ids in drawn} == {4}
    assert {ids[-1] for ids in drawn} == {pair.tokenizer.eos_token_id}


def test_the_reward_is_the_one_described():
    mdp = draw(3, prompts=2, vocabulary=5, horizon=4)
    rows = tokens_of(5, 4).tolist()
    for prompt in range(2):
        for at in range(0, len(rows), 11):
            row = rows[at]
            pairs = list(pairwise(row))
            worth = min(row.count(0), 2) - row.count(1) + 1.5 * pairs.count((2, 3))
            worth += row[-1] == prompt
            assert float(mdp.returns[prompt, at]) == pytest.approx(worth)


def test_seeds_draw_other_references_that_leave_something_to_learn():
    one, two = draw(0), draw(1)
    assert not torch.equal(one.reference[0], two.reference[0])
    assert torch.equal(one.returns, two.returns)
    for mdp in (one, two):
        policy = solve(mdp, BETA).policy
        gain = expectation(policy, mdp.returns) - expectation(mdp.reference, mdp.returns)
        assert (gain > 0.5).all()
        assert (kl_nats(policy, mdp.reference) < 4).all()
