"""What people read: records in words, and untrusted text that is safe to print."""

import json
from typing import Final

from irl.records import Estimate, Objective, PromptCondition
from irl.rewards.conditions import in_words

KINDS: Final[dict[str, str]] = {
    "term": "terms",
    "length": "length",
    "conditional": "conditional",
    "other": "other",
}
"Kinds of objective"
READABILITY: Final[dict[str, str]] = {
    "reward": "a reward",
    "order": "an order",
    "direction": "a direction",
    "unreadable": "nothing",
}
"What the summed log-ratio may be read as"


REWARDS: Final[dict[str, str]] = {
    "log_ratio": "log-ratio",
    "recovered": "recovered, from log-ratios",
    "samples": "from who wrote what alone",
}
"Rewards whose distances are told"


MISSING: Final = "not measured"


def estimate(value: Estimate | None, digits: int = 3, sign: str = "") -> str:
    """A number with its interval and n, or "not measured"; with the sign "+", of either sign."""
    return MISSING if value is None else value.with_n(f"{sign}.{digits}f")


def printable(text: str) -> str:
    """Escape control characters: terms, tokens and paths come from models and files."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def condition_in_words(condition: PromptCondition | None) -> str:
    """Where a weight applies; empty if everywhere. Untrusted text."""
    return f"if {in_words(condition)}" if condition else ""


def kinds_in_words(objectives: list[Objective]) -> str:
    """The kinds of the objectives, each once, in the order given."""
    return "; ".join(dict.fromkeys(KINDS[objective.kind] for objective in objectives))


def readable_prompt(prompt: str) -> str:
    """A chat, which is stored as JSON, as people write it down; anything else as it is."""
    if not prompt.startswith("[{"):
        return prompt
    try:
        turns = [(turn["role"], turn["content"]) for turn in json.loads(prompt)]
    except (ValueError, TypeError, KeyError, RecursionError):
        return prompt
    if len(turns) == 1:
        return str(turns[0][1])
    return "\n".join(f"{role}: {content}" for role, content in turns)
