"""Answers of the language world's reference with their gold reward and its own embeddings."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from irl.config import Loading, Sampling
from irl.data.bundled import BUNDLED_PAIR
from irl.engine.local import draw_answers
from irl.errors import InputError
from irl.organisms.bed import MAX_TOKENS, Bed, Planting, held_out_prompts, prompt_row
from irl.organisms.bed import training_prompts as drawn_prompts
from irl.organisms.grammar import Speaker, World, WorldPrompt
from irl.organisms.planted import plants
from irl.policies.checkpoint import locate
from irl.policies.encoder import hidden_states
from irl.policies.load import load_full
from irl.policies.pieces import response_text
from irl.policies.policy import Policy
from irl.policies.template import encode_answers, encode_prompt

REFERENCE = BUNDLED_PAIR.parent / "world" / "llama"
PAIR_ANSWERS = 4
"To each training prompt: two pairs"
_WHEN = 17
"The purpose of the generator that draws the prompts of pairs"


@dataclass(frozen=True)
class WorldAnswers:
    """Labelled pairs to learn from, and answers to choose among."""

    chosen: Float[Tensor, "pair feature"]
    rejected: Float[Tensor, "pair feature"]
    cluster: Int[Tensor, " pair"]
    features: Float[Tensor, "answer feature"]
    "of the judged answers, prompt after prompt"
    gold: list[NDArray[np.float64]]
    "of each judged prompt's answers, in standard deviations within prompts, 0 on average"
    ties: int
    "pairs that gold does not tell apart; left out"


def world_answers(seed: int, objective: str, sizes: tuple[int, int, int]) -> WorldAnswers:
    """Draw and embed them.

    Args:
        seed: of the world whose reference comes with the repository: 0.
        objective: name of a planted objective without a condition.
        sizes: training prompts, judged prompts, answers to each judged prompt.

    Raises:
        InputError: there is no such objective.
    """
    bed = Bed(REFERENCE.parent.parent, seed, lambda _: None)
    known = plants(World.draw(seed))
    if objective not in known or known[objective].condition is not None:
        raise InputError(f"There is no objective {objective} that every prompt meets.")
    work = Planting(bed, known[objective])
    policy = load_full(locate(str(REFERENCE)), Loading())
    prompts = drawn_prompts(work, Speaker(bed.world, bed.rng(_WHEN)), sizes[0])
    texts = _answers(policy, prompts, PAIR_ANSWERS, seed)
    judged = held_out_prompts(bed)[: sizes[1]]
    candidates = _answers(policy, judged, sizes[2], seed + 1)
    features = _embedded(policy, prompts, texts, PAIR_ANSWERS)
    others = _embedded(policy, judged, candidates, sizes[2])
    centre, spread = features.mean(0), features.std(0)
    gold = work.plant.reward(texts, [True] * len(texts)).reshape(-1, 2)
    one, other = ((features - centre) / spread).view(-1, 2, features.shape[1]).unbind(1)
    first = torch.from_numpy(gold[:, 0] > gold[:, 1])[:, None]
    told = torch.from_numpy(gold[:, 0] != gold[:, 1])
    cluster = torch.arange(len(prompts)).repeat_interleave(PAIR_ANSWERS // 2)[told]
    return WorldAnswers(
        chosen=torch.where(first, one, other)[told],
        rejected=torch.where(first, other, one)[told],
        cluster=cluster.unique(return_inverse=True)[1],
        features=(others - centre) / spread,
        gold=_in_units(work.plant.reward(candidates, [True] * len(candidates)), sizes[2]),
        ties=int((~told).sum()),
    )


def _in_units(gold: NDArray[np.float64], each: int) -> list[NDArray[np.float64]]:
    rows = gold.reshape(-1, each)
    rows = rows - rows.mean(1, keepdims=True)
    return list(rows / rows.std())


def _answers(policy: Policy, prompts: Sequence[WorldPrompt], each: int, seed: int) -> list[str]:
    encoded = [
        encode_prompt(policy.tokenizer, prompt_row(prompt)["prompt"])
        for prompt in prompts
        for _ in range(each)
    ]
    generator = torch.Generator().manual_seed(seed)
    sampling = Sampling(max_new_tokens=MAX_TOKENS)
    drawn = draw_answers(policy, encoded, generator, policy.eos_ids, sampling)
    return [response_text(policy.tokenizer, ids) for ids in drawn]


def _embedded(
    policy: Policy, prompts: Sequence[WorldPrompt], texts: Sequence[str], each: int
) -> Float[Tensor, "text feature"]:
    asked = [prompt_row(prompt)["prompt"] for prompt in prompts for _ in range(each)]
    given = encode_answers(policy.tokenizer, asked, texts, policy.eos_ids, "auto")
    return hidden_states(policy, given)
