"""Queries and prompts whose success is known: a table of (class of the query, prompt).

A query asks for one of several kinds of work, told by its words alone: any of the class's verbs,
among words that tell nothing. A prompt is a manner of answering. Success of prompt j on a query of
class k is a coin of probability p[k, j]; five tables:

    easy           a manner of its own for every class, one that is fair for all, one that is poor
    interaction    every manner suits two classes of four, each another two: none is best on average
    two words      half of the manners suit even classes, half odd ones, and what is even is told by
                   a verb and a noun together, by neither alone
    additive       one manner is best for every class: nothing can be gained by choosing
    noise          all manners succeed alike: nothing can be gained or lost
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from irl.errors import InputError

Array = NDArray[np.float64]
PROMPTS: Final = (
    "think step by step before you answer.",
    "answer in one short line.",
    "translate every sentence first.",
    "list three examples, then answer.",
    "you are a patient teacher.",
    "check the answer twice.",
)
_VERBS: Final = (
    ("add", "sum", "subtract", "count", "multiply", "divide"),
    ("render", "translate", "transcribe", "interpret", "decode", "spell"),
    ("summarise", "shorten", "condense", "abridge", "outline", "sketch"),
    ("write", "draft", "compose", "invent", "rhyme", "narrate"),
)
_OBJECTS: Final = (
    *("figures", "letters", "reports", "stories", "names", "orders", "prices", "notes"),
    *("songs", "bills", "poems", "plans"),
)
_PLACES: Final = (
    *("of the harbour", "of the school", "from the market", "of my cousin", "of last week"),
    *("of the old town", "from the north", "for the baker", "of the museum", "from the attic"),
)
_OPENINGS: Final = (
    *("please", "now", "can you", "i want you to", "for me", "quickly", "at once", "could you"),
)
_GOOD, _BAD = 0.9, 0.3
_KINDS: Final = range(len(_VERBS))


def _suits(*groups: tuple[int, ...]) -> Array:
    """Good where a class is in the group of the prompt."""
    rows = [[_GOOD if kind in group else _BAD for group in groups] for kind in _KINDS]
    return np.array(rows)


TABLES: Final[Mapping[str, Array]] = MappingProxyType(
    {
        "easy": np.array(
            [[*(_GOOD if at == kind else 0.4 for at in range(4)), 0.6, 0.1] for kind in _KINDS]
        ),
        "interaction": _suits((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)),
        "two words": _suits(*[(0, 3)] * 3, *[(1, 2)] * 3),
        "additive": np.array([0.0, 0.1, 0.2, 0.3])[:, None] + [0.3, 0.4, 0.1, 0.6, 0.2, 0.5],
        "noise": np.full((4, 6), 0.5),
    }
)
"Success by class of the query and prompt"


@dataclass(frozen=True)
class Queries:
    """Queries and what they succeed with."""

    texts: list[str]
    success: Array
    "[query, prompt]"

    def tried(self, seed: int, prompts_each: int | None = None) -> list[dict[str, str | float]]:
        """A log: every query once under every prompt, or under some drawn for it.

        Args:
            seed: of the coins, and of the prompts that are tried.
            prompts_each: how many; None for all.
        """
        generator = np.random.default_rng(seed)
        rows: list[dict[str, str | float]] = []
        for query, chances in zip(self.texts, self.success, strict=True):
            order = generator.permutation(len(PROMPTS))[:prompts_each]
            coins = generator.random(len(PROMPTS)) < chances
            rows += [
                {"query": query, "prompt": PROMPTS[at], "outcome": float(coins[at])}
                for at in sorted(order)
            ]
        return rows


def queries(table: str, n: int, seed: int) -> Queries:
    """Draw different queries.

    Args:
        table: one of TABLES.
        n: how many.
        seed: of the words.

    Raises:
        InputError: there is no such table.
    """
    if table not in TABLES:
        raise InputError(f"There is no table {table} of prompts; known: {', '.join(TABLES)}.")
    generator = np.random.default_rng(seed)
    found: dict[str, int] = {}
    while len(found) < n:
        verb, noun = int(generator.integers(len(_KINDS))), int(generator.integers(len(_OBJECTS)))
        words = (
            _one_of(_OPENINGS, generator),
            _one_of(_VERBS[verb], generator),
            "the",
            _OBJECTS[noun],
            _one_of(_PLACES, generator),
        )
        both = 2 * (verb // 2) + noun % 2
        found[" ".join(words)] = both if table == "two words" else verb
    return Queries(list(found), TABLES[table][list(found.values())])


def _one_of(words: Sequence[str], generator: np.random.Generator) -> str:
    return words[int(generator.integers(len(words)))]
