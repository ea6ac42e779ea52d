"""How near the aligned policy is to the optimum it was trained for.

The KL-regularised optimum reweights the reference: pi*(y|x) ~ pi_ref(y|x) exp(R(y) / beta). Its
mean reward is estimated by self-normalised importance sampling within each prompt,

    E_pi*[R] ~ sum_j w_j R_j,   w = softmax(R / beta) over the prompt's reference answers,

biased low with few answers per prompt. The effective sample size 1 / sum w^2, summed over prompts,
says how many of the reference answers carry it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from irl.bootstrap import from_sums, ratio
from irl.config import Sampling
from irl.data import PromptRow
from irl.engine.local import draw_answers
from irl.engine.scoring import score_policy
from irl.errors import PolicyError
from irl.policies.pair import PolicyPair
from irl.policies.pieces import response_text
from irl.policies.template import encode_prompt
from irl.records import Estimate, Truth
from irl.tensors import TokenSequence

GoldReward = Callable[[Sequence[PromptRow], Sequence[str]], torch.Tensor]
RESPONSES_PER_PROMPT = 12


def measure_truth(
    pair: PolicyPair,
    prompts: Sequence[PromptRow],
    reward: GoldReward,
    *,
    beta: float,
    seed: int,
    about: dict[str, Any],
    responses_per_prompt: int = RESPONSES_PER_PROMPT,
) -> Truth:
    """Sample both policies on prompts and compare their true reward with the optimum's."""
    asked = [row for row in prompts for _ in range(responses_per_prompt)]
    encoded = [encode_prompt(pair.tokenizer, row.prompt) for row in asked]
    number = np.repeat(np.arange(len(prompts)), responses_per_prompt)
    sampling, sides = Sampling(), []
    for policy in (pair.reference, pair.aligned):
        generator = torch.Generator().manual_seed(seed)
        answers = draw_answers(policy, encoded, generator, pair.eos_ids, sampling)
        texts = [response_text(pair.tokenizer, ids) for ids in answers]
        sides.append((answers, reward(asked, texts).double().numpy()))
    (_, before), (answers, after) = sides
    sequences = [TokenSequence(p, a) for p, a in zip(encoded, answers, strict=True)]
    nats = [score_policy(side, sequences, sampling) for side in (pair.aligned, pair.reference)]
    kl = np.array([float((a - r).sum()) for a, r in zip(*nats, strict=True)])
    per_prompt = before.reshape(len(prompts), -1)
    weights = torch.softmax(torch.tensor(per_prompt / beta), dim=1).numpy()
    return Truth(
        beta=beta,
        seed=seed,
        gold_before=_mean(before, number),
        gold_after=_mean(after, number),
        gold_gain=_mean(after - before, number),
        gold_optimum=float((weights * per_prompt).sum(1).mean()),
        effective_sample_size=float((1 / (weights**2).sum(1)).sum()),
        kl_nats=_mean(kl, number),
        **about,
    )


def _mean(values: np.ndarray, clusters: np.ndarray) -> Estimate:
    columns = np.stack([values, np.ones_like(values)], axis=1)
    estimate = from_sums(columns, clusters, ratio)
    if estimate is None:
        raise PolicyError("The true reward cannot be averaged: fewer than two prompts were given.")
    return estimate
