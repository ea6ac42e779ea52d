"""Prompts in a few groups, by what a run tells of them.

By type where prompts name one; by whether an objective's condition applies; by quarters of length;
by the first word. Labels may hold words of prompts, and are untrusted.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from irl.data import Messages
from irl.evaluation.quarters import quarters
from irl.records import PromptCondition
from irl.rewards.conditions import TypedPrompt, in_words, meets
from irl.rewards.words import words

MOST_TYPES: Final = 12
MOST_WORDS: Final = 7
MIN_PROMPTS: Final = 5
"Of a first word that is a group of its own"


@dataclass(frozen=True)
class Grouping:
    """A group for every prompt."""

    labels: list[str]
    group: list[int]
    "which of the labels, of each prompt"


def groupings(
    prompts: Sequence[TypedPrompt], conditions: Sequence[PromptCondition]
) -> dict[str, Grouping]:
    """Every way to group the prompts that makes at least two groups.

    Args:
        prompts: all of them.
        conditions: of the objectives that were found.
    """
    ways = {
        "type": _named([one.type or "no type" for one in prompts], MOST_TYPES),
        "condition": _by_condition(prompts, conditions),
        "length": Grouping(*quarters([len(words(one.text)) for one in prompts])),
        "first word": _by_first_word(prompts),
    }
    return {name: way for name, way in ways.items() if len(set(way.group)) > 1}


def asked(prompt: str, prompt_type: str | None = None) -> TypedPrompt:
    """A prompt as a run stores it: of a chat, what the user says."""
    if not prompt.startswith("[{"):
        return TypedPrompt(prompt, prompt_type)
    try:
        messages: Messages = tuple(
            {"role": str(turn["role"]), "content": str(turn["content"])}
            for turn in json.loads(prompt)
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        return TypedPrompt(prompt, prompt_type)
    return TypedPrompt.of(messages, prompt_type)


def _named(names: Sequence[str], most: int) -> Grouping:
    """The commonest names, each a group, and all others."""
    common = [name for name, _ in Counter(names).most_common(most)]
    labels = common if len(set(names)) <= most else [*common, "others"]
    place = {name: at for at, name in enumerate(common)}
    return Grouping(labels, [place.get(name, len(common)) for name in names])


def _by_condition(
    prompts: Sequence[TypedPrompt], conditions: Sequence[PromptCondition]
) -> Grouping:
    labels = [*(in_words(one) for one in conditions), "elsewhere"]
    group = [
        next((at for at, one in enumerate(conditions) if meets(one, prompt)), len(conditions))
        for prompt in prompts
    ]
    return Grouping(labels, group)


def _by_first_word(prompts: Sequence[TypedPrompt]) -> Grouping:
    first = [next(iter(words(one.text)), "") for one in prompts]
    often = Counter(first)
    kept = [word for word, n in often.most_common(MOST_WORDS) if n >= MIN_PROMPTS and word]
    place = {word: at for at, word in enumerate(kept)}
    return Grouping(
        [*(f"“{word}”" for word in kept), "others"],
        [place.get(word, len(kept)) for word in first],
    )
