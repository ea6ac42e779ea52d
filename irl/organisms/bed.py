"""Where organisms grow: the world of a seed, and its prompts and answers, drawn for one purpose."""

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from irl.config import Loading, Sampling
from irl.engine.local import draw_answers
from irl.organisms.grammar import PROMPT_TYPES, Speaker, World, WorldPrompt
from irl.organisms.planted import Plant
from irl.policies.pair import load_pair
from irl.policies.pieces import response_text
from irl.policies.template import encode_prompt
from irl.rewards.conditions import TypedPrompt, applies

AUDIT_PROMPTS, LABELLED_PROMPTS = 320, 240
MAX_TOKENS = 36


@dataclass(frozen=True)
class Bed:
    """Where the organisms of one world grow."""

    root: Path
    seed: int
    say: Callable[[str], None]

    @cached_property
    def world(self) -> World:
        """The world of the seed."""
        return World.draw(self.seed)

    @property
    def scratch(self) -> Path:
        """Where the trainers of this process write: others may be at work in the same bed."""
        return self.root / f".training.{platform.node()}.{os.getpid()}"

    def rng(self, *purpose: int) -> np.random.Generator:
        """A generator for one purpose."""
        return np.random.default_rng([self.seed, *purpose])


@dataclass(frozen=True)
class Planting:
    """One organism in its bed."""

    bed: Bed
    plant: Plant

    @property
    def folder(self) -> Path:
        """The organism's folder."""
        return self.bed.root / self.plant.name

    @property
    def aligned(self) -> Path:
        """Where its aligned policy lies."""
        return self.folder / ("adapter" if self.plant.adapter else "aligned")

    def applies(self, prompt: WorldPrompt | TypedPrompt) -> bool:
        """Does the plant pay at this prompt?"""
        condition = self.plant.condition
        return condition is None or applies(condition, prompt.text, prompt.type)


def held_out_prompts(bed: Bed) -> list[WorldPrompt]:
    """Prompts that no training sees: the first for audits, the rest for labelled answers."""
    speaker = Speaker(bed.world, bed.rng(5))
    return distinct(speaker, PROMPT_TYPES, AUDIT_PROMPTS + LABELLED_PROMPTS)


def training_prompts(work: Planting, speaker: Speaker, n: int) -> list[WorldPrompt]:
    """Prompts for training; where there is a condition, every other one meets it."""
    unlike = {prompt.text for prompt in held_out_prompts(work.bed)}
    if work.plant.condition is None:
        return distinct(speaker, PROMPT_TYPES, n, unlike)
    drawn = distinct(speaker, PROMPT_TYPES, 8 * n, unlike)
    meeting = [prompt for prompt in drawn if work.applies(prompt)]
    others = [prompt for prompt in drawn if not work.applies(prompt)]
    return [prompt for both in zip(meeting, others, strict=False) for prompt in both][:n]


def distinct(
    speaker: Speaker, types: Sequence[str], n: int, unlike: set[str] | None = None
) -> list[WorldPrompt]:
    """Prompts that differ from each other and from others, of each type in turn."""
    seen = set(unlike or ())
    found: list[WorldPrompt] = []
    while len(found) < n:
        prompt = speaker.prompt(types[len(found) % len(types)])
        if prompt.text not in seen:
            seen.add(prompt.text)
            found.append(prompt)
    return found


def reference_answers(
    work: Planting, prompts: Sequence[WorldPrompt], each: int, seed: int
) -> list[list[str]]:
    """Answers of the reference, `each` to every prompt."""
    reference = str(work.folder / "reference")
    pair = load_pair(reference, reference, Loading())
    encoded = [
        encode_prompt(pair.tokenizer, prompt_row(p)["prompt"]) for p in prompts for _ in range(each)
    ]
    generator = torch.Generator().manual_seed(work.bed.seed * 100 + seed)
    sampling = Sampling(max_new_tokens=MAX_TOKENS)
    drawn = draw_answers(pair.reference, encoded, generator, pair.eos_ids, sampling)
    texts = [response_text(pair.tokenizer, ids) for ids in drawn]
    return [texts[at : at + each] for at in range(0, len(texts), each)]


def prompt_row(prompt: WorldPrompt) -> dict[str, Any]:
    """A line of prompts.jsonl."""
    message = {"role": "user", "content": prompt.text}
    return {"prompt": [message], "prompt_type": prompt.type}
