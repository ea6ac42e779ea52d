"""Rows about the token MDP: identities, and every recovery method against the exact truth.

1. The identities of `irl.token_mdp`, in float64.
2. Every method with exact expectations, at the KL-regularised optimum and on policies that were
   trained otherwise. A method that does not find the reward there says so in a sentence.
3. Every method from samples: the centred distance from the true reward against the number of
   answers of either policy.

Rewards are linear in features that can express the true one: what is measured is the method.
"""

from collections.abc import Iterator
from itertools import chain
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from explain.jobs.result_rows import Making, Measured, counted, mean_share
from irl.config import Learning
from irl.distances import centred_distance
from irl.organisms.token_training import by_dpo, without_kl
from irl.organisms.token_world import BETA, answer_features, draw, every_answer
from irl.records import ResultRow
from irl.recovery.examples import Examples
from irl.recovery.fit import Fitted
from irl.recovery.methods import METHODS
from irl.rewards.heads import linear
from irl.token_mdp import Levels, TokenMDP, along, shaped, solve, tokens_of

NEAR = 0.1
"Centred distance up to which a method is said to find the reward (a correlation of .98)"


class ExactRecipe(BaseModel):
    """Sizes of the exact worlds, and how much is sampled."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["testbed"]
    seed: int
    exact: tuple[int, int, int]
    "prompts, words and length of the world of exact expectations"
    sampled: tuple[int, int, int]
    "of the world that is sampled from"
    answers: tuple[int, ...]
    "of either policy, to all prompts together"
    draws: int
    learning: dict[str, Any] = {}
    "of the fits to samples"
    exact_learning: dict[str, Any] = {}
    "of those with exact expectations, which have no noise to stop at"


def rows_of_testbed(recipe: ExactRecipe, making: Making) -> list[ResultRow]:
    """Everything, in the order of the docstring."""
    rows = [*_identities(draw(recipe.seed, *recipe.exact), recipe)]
    making.say("identities: done")
    for row in chain(_exact(recipe), _sampled(recipe)):
        making.say(f"{row.case}: {row.method}")
        rows.append(row)
    return rows


def _identities(mdp: TokenMDP, recipe: ExactRecipe) -> Iterator[ResultRow]:
    of = Measured("identities", [recipe.seed])
    best = solve(mdp, BETA)
    start = best.values[0]
    generator = torch.Generator().manual_seed(recipe.seed)
    potentials = [torch.randn(v.shape, generator=generator, dtype=v.dtype) for v in best.values]
    other = solve(TokenMDP(mdp.reference, shaped(mdp.rewards, potentials)), BETA)
    at_once = BETA * torch.logsumexp(along(mdp.reference) + mdp.returns / BETA, -1, keepdim=True)
    errors = {
        "V of the prompt against log Z": start - at_once,
        "summed log-ratio against R - V": BETA * (along(best.policy) - along(mdp.reference))
        - (mdp.returns - start),
        "sum of probabilities against 1": along(best.policy).exp().sum(-1) - 1,
        "optimum under a shaped reward": along(best.policy) - along(other.policy),
    }
    for name, error in errors.items():
        yield of.row(
            "exact", f"largest error: {name}", "nats", counted(float(error.abs().max()), 1)
        )


def _exact(recipe: ExactRecipe) -> Iterator[ResultRow]:
    mdp, learning = draw(recipe.seed, *recipe.exact), Learning(**recipe.exact_learning)
    features = _features(mdp)
    policies = {
        "exact optimum": solve(mdp, BETA).policy,
        "DPO": by_dpo(mdp, BETA, seed=recipe.seed),
        "without KL": without_kl(mdp),
    }
    for case, policy in policies.items():
        of = Measured(f"{case}, exact expectations", [recipe.seed])
        examples = every_answer(mdp, policy, features)
        for name, method in METHODS.items():
            away = _distance(mdp, features, method(examples, linear, learning))
            yield of.row(name, "centred distance from the true reward", "", counted(away, 1))
            if away > NEAR:
                sentence = f"{name} does not find the reward here: centred distance {away:.2f}."
                yield of.row(name, "verdict", "", None, sentence)


def _sampled(recipe: ExactRecipe) -> Iterator[ResultRow]:
    mdp, learning = draw(recipe.seed, *recipe.sampled), Learning(**recipe.learning)
    features, policy = _features(mdp), solve(mdp, BETA).policy
    seeds = list(range(recipe.draws))
    for n in recipe.answers:
        of = Measured(f"{n} answers of either policy", seeds)
        per_prompt = n // len(mdp.returns)
        sets = [_some_answers(mdp, policy, features, per_prompt, seed) for seed in seeds]
        for name, method in METHODS.items():
            away = []
            for seed, examples in zip(seeds, sets, strict=True):
                one = learning.model_copy(update={"seeds": (seed,)})
                away.append(_distance(mdp, features, method(examples, linear, one)))
            yield of.row(name, "centred distance from the true reward", "", mean_share(away))


def _features(mdp: TokenMDP) -> Tensor:
    """What the true reward is linear in, and much beside, [prompt, response, feature]."""
    last, prompts = tokens_of(mdp.vocabulary, mdp.horizon)[:, -1], torch.arange(len(mdp.returns))
    asked = (last == prompts[:, None] % mdp.vocabulary).float()
    return torch.cat([answer_features(mdp).expand(len(prompts), -1, -1), asked[..., None]], -1)


def _some_answers(
    mdp: TokenMDP, policy: Levels, features: Tensor, per_prompt: int, seed: int
) -> Examples:
    """Samples of both policies to every prompt."""
    generator = torch.Generator().manual_seed(seed)
    ours, theirs = along(policy), along(mdp.reference)
    drawn = [
        torch.multinomial(side.exp(), per_prompt, replacement=True, generator=generator)
        for side in (ours, theirs)
    ]
    prompts = torch.arange(len(mdp.returns))[:, None].expand(-1, per_prompt)
    at = torch.cat([side.flatten() for side in drawn])
    asked = prompts.flatten().repeat(2)
    return Examples(
        features[asked, at],
        asked,
        torch.arange(len(at)) < len(at) // 2,
        (ours - theirs)[asked, at].float(),
        ours[asked, at].float(),
    )


def _distance(mdp: TokenMDP, features: Tensor, fitted: Fitted) -> float:
    """Of the first member from the true reward, by the reference's distribution."""
    prompts, n = mdp.returns.shape
    with torch.no_grad():
        scores = fitted.head(features.flatten(0, 1))[0].double()
    prompt = torch.arange(prompts).repeat_interleave(n)
    weights = along(mdp.reference).exp().flatten()
    return float(centred_distance(scores, mdp.returns.flatten(), prompt, weights))
