"""Answers of the language world's reference, with its own embeddings and with planted rewards."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from irl.config import Loading, Sampling
from irl.data.bundled import BUNDLED_PAIR
from irl.engine.local import draw_answers
from irl.errors import InputError
from irl.organisms.bed import MAX_TOKENS, Bed, distinct, held_out_prompts, prompt_row
from irl.organisms.grammar import PROMPT_TYPES, Speaker, WorldPrompt
from irl.organisms.planted import Plant, plants
from irl.policies.checkpoint import locate
from irl.policies.encoder import hidden_states
from irl.policies.load import load_full
from irl.policies.pieces import response_text
from irl.policies.policy import Policy
from irl.policies.template import encode_answers, encode_prompt

REFERENCE = BUNDLED_PAIR.parent / "world" / "llama"
PAIR_ANSWERS = 4
"To each training prompt: two pairs"
_WHEN, _TRAINED, _ELSEWHERE = 17, 19, 23
"The purposes of the generators that draw the prompts of pairs, of trainings, of other worlds"


Features = Float[Tensor, "row feature"]


@dataclass(frozen=True)
class Preferences:
    """Pairs as a planted objective labels them."""

    chosen: Features
    rejected: Features
    cluster: Int[Tensor, " row"]
    "the prompt, numbered from 0"
    ties: int
    "pairs that the objective does not tell apart; left out"


@dataclass(frozen=True)
class WorldAnswers:
    """Pairs that nobody has labelled yet, and answers to choose among; both embedded.

    Features are in the units of the pairs: 0 on average, with a standard deviation of 1.
    """

    plants: Mapping[str, Plant]
    "the world's objectives"
    pairs: Float[Tensor, "pair side feature"]
    pair_texts: list[str]
    "both sides of the first pair, of the second ..."
    cluster: Int[Tensor, " pair"]
    features: Float[Tensor, "answer feature"]
    "of the answers to choose among, prompt after prompt"
    texts: list[str]
    each: int
    "answers to each prompt"

    def preferred(self, objective: str, part: int, parts: int) -> Preferences:
        """The pairs of every `parts`th prompt, labelled without error.

        Raises:
            InputError: there is no such objective.
        """
        gold = torch.from_numpy(self._reward(objective, self.pair_texts)).view(-1, 2)
        told = (gold[:, 0] != gold[:, 1]) & (self.cluster % parts == part)
        first = (gold[:, 0] > gold[:, 1])[:, None]
        one, other = self.pairs.unbind(1)
        return Preferences(
            chosen=torch.where(first, one, other)[told],
            rejected=torch.where(first, other, one)[told],
            cluster=self.cluster[told].unique(return_inverse=True)[1],
            ties=int((self.cluster % parts == part).sum() - told.sum()),
        )

    def gold(self, objective: str) -> list[NDArray[np.float64]]:
        """Of each prompt's answers, in standard deviations within prompts, 0 on average.

        Raises:
            InputError: there is no such objective.
        """
        rows = self._reward(objective, self.texts).reshape(-1, self.each)
        rows = rows - rows.mean(1, keepdims=True)
        return list(rows / rows.std())

    def _reward(self, objective: str, texts: Sequence[str]) -> NDArray[np.float64]:
        plant = unconditional(self.plants, objective)
        return plant.reward(texts, [True] * len(texts))


def world_answers(seed: int, pair_prompts: int, judged_prompts: int, each: int) -> WorldAnswers:
    """Draw and embed them.

    Args:
        seed: of the world whose reference comes with the repository: 0.
        pair_prompts: prompts with two pairs each.
        judged_prompts: other prompts, with `each` answers to choose among.
        each: answers to a judged prompt.
    """
    bed = Bed(REFERENCE.parent.parent, seed, lambda _: None)
    policy = load_full(locate(str(REFERENCE)), Loading())
    prompts = _unlike_held_out(bed, pair_prompts, _WHEN)
    judged = held_out_prompts(bed)[:judged_prompts]
    texts = _answers(policy, prompts, PAIR_ANSWERS, seed)
    candidates = _answers(policy, judged, each, seed + 1)
    features = _embedded(policy, prompts, texts, PAIR_ANSWERS)
    others = _embedded(policy, judged, candidates, each)
    centre, spread = features.mean(0), features.std(0)
    return WorldAnswers(
        plants=plants(bed.world),
        pairs=((features - centre) / spread).view(-1, 2, features.shape[1]),
        pair_texts=texts,
        cluster=torch.arange(len(prompts)).repeat_interleave(PAIR_ANSWERS // 2),
        features=(others - centre) / spread,
        texts=candidates,
        each=each,
    )


def labelled_pairs(seed: int, objective: str, n_prompts: int, draw: int) -> list[dict[str, Any]]:
    """Pairs of the reference's answers as a planted objective labels them: lines of a file.

    Args:
        seed: of the world: 0.
        objective: name of a planted objective without a condition.
        n_prompts: with two pairs each, less those that the objective does not tell apart.
        draw: of prompts and answers.

    Raises:
        InputError: there is no such objective.
    """
    bed = Bed(REFERENCE.parent.parent, seed, lambda _: None)
    policy = load_full(locate(str(REFERENCE)), Loading())
    prompts = _unlike_held_out(bed, n_prompts, _WHEN, draw)
    texts = _answers(policy, prompts, PAIR_ANSWERS, draw)
    plant = unconditional(plants(bed.world), objective)
    gold = plant.reward(texts, [True] * len(texts)).reshape(-1, 2)
    asked = [prompt_row(prompt)["prompt"] for prompt in prompts for _ in range(PAIR_ANSWERS // 2)]
    rows = []
    for at, (one, other) in enumerate(gold):
        if one != other:
            better, worse = (2 * at, 2 * at + 1) if one > other else (2 * at + 1, 2 * at)
            both = {"chosen": texts[better], "rejected": texts[worse]}
            rows.append({"prompt": asked[at], **both})
    return rows


def answers_to(prompts: Sequence[Any], each: int, seed: int) -> list[str]:
    """Answers of the reference, `each` to every prompt."""
    policy = load_full(locate(str(REFERENCE)), Loading())
    return _drawn(policy, [prompt for prompt in prompts for _ in range(each)], seed)


def trained_prompts(seed: int, n: int) -> list[dict[str, Any]]:
    """Prompts to train on, unlike those that are held out: lines of a file."""
    bed = Bed(REFERENCE.parent.parent, seed, lambda _: None)
    return [prompt_row(prompt) for prompt in _unlike_held_out(bed, n, _TRAINED)]


def answers_of_another_world(seed: int, n: int) -> list[str]:
    """Answers by the grammar and words of another seed's world, to its own prompts."""
    bed = Bed(REFERENCE.parent.parent, seed, lambda _: None)
    speaker = Speaker(bed.world, bed.rng(_ELSEWHERE))
    kinds = (PROMPT_TYPES[at % len(PROMPT_TYPES)] for at in range(n))
    return [speaker.answer(speaker.prompt(kind)) for kind in kinds]


def judged_prompts(seed: int, n: int) -> list[dict[str, Any]]:
    """Prompts that are held out, to judge by: lines of a file."""
    bed = Bed(REFERENCE.parent.parent, seed, lambda _: None)
    return [prompt_row(prompt) for prompt in held_out_prompts(bed)[:n]]


def _unlike_held_out(bed: Bed, n: int, *purpose: int) -> list[WorldPrompt]:
    """Prompts that are not held out, drawn for one purpose."""
    unlike = {prompt.text for prompt in held_out_prompts(bed)}
    return distinct(Speaker(bed.world, bed.rng(*purpose)), PROMPT_TYPES, n, unlike)


def unconditional(known: Mapping[str, Plant], objective: str) -> Plant:
    """A planted objective that every prompt meets.

    Raises:
        InputError: there is no such objective.
    """
    plant = known.get(objective)
    if plant is None or plant.condition is not None:
        raise InputError(f"There is no objective {objective} that every prompt meets.")
    return plant


def planted_gold(plant: Plant) -> Callable[[Sequence[str], Sequence[Any]], NDArray[np.float64]]:
    """What the objective pays for answers, whatever their prompts."""

    def planted(texts: Sequence[str], _: Sequence[Any]) -> NDArray[np.float64]:
        return np.asarray(plant.reward(texts, [True] * len(texts)), dtype=np.float64)

    return planted


def _answers(policy: Policy, prompts: Sequence[WorldPrompt], each: int, seed: int) -> list[str]:
    asked = [prompt_row(prompt)["prompt"] for prompt in prompts for _ in range(each)]
    return _drawn(policy, asked, seed)


def _drawn(policy: Policy, asked: Sequence[Any], seed: int) -> list[str]:
    encoded = [encode_prompt(policy.tokenizer, prompt) for prompt in asked]
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
