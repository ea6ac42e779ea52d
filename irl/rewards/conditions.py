"""Conditions on the prompt: a term may be paid only in answers to some prompts."""

from dataclasses import dataclass

from irl.data import Prompt
from irl.records import PromptCondition
from irl.rewards.words import words


@dataclass(frozen=True)
class TypedPrompt:
    """What a condition looks at: the words of the prompt, and its type where one is known."""

    text: str
    "of a chat: what the user says, message by message"
    type: str | None = None

    @classmethod
    def of(cls, prompt: Prompt, prompt_type: str | None = None) -> "TypedPrompt":
        """A prompt as it was read: plain text, or chat messages."""
        if isinstance(prompt, str):
            return cls(prompt, prompt_type)
        said = [message["content"] for message in prompt if message["role"] == "user"]
        return cls("\n".join(said), prompt_type)


def in_words(condition: PromptCondition) -> str:
    """What a condition says of the prompt. Untrusted text."""
    if condition.prompt_contains is not None:
        return f"the prompt contains {condition.prompt_contains}"
    return f"the prompt is of type {condition.prompt_type}"


def meets(condition: PromptCondition | None, prompt: TypedPrompt) -> bool:
    """Whether a prompt meets a condition; every prompt meets none."""
    return condition is None or applies(condition, prompt.text, prompt.type)


def applies(condition: PromptCondition, prompt_text: str, prompt_type: str | None) -> bool:
    """Whether a prompt meets a condition: it has the word, or is of the type.

    A prompt without a type is of no type, so a condition on the type never applies to it.
    """
    if condition.prompt_type is not None:
        return condition.prompt_type == prompt_type
    return condition.prompt_contains in words(prompt_text)
