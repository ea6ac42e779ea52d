"""Where the tokens of an exchange stand in its texts."""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from irl.errors import PolicyError
from irl.policies.template import PromptText, whole_text
from irl.tensors import TokenSequence

Tokenizer = PreTrainedTokenizerBase
_MOST_AHEAD = 4
"Special tokens that a tokenizer may put before a text"


@dataclass(frozen=True)
class Span:
    """Characters start to end of one part: of the prompt's messages in order, then the response."""

    part: int
    start: int
    end: int


def token_spans(
    tokenizer: PreTrainedTokenizerBase,
    prompt: PromptText,
    response: str,
    sequence: TokenSequence,
) -> list[Span | None]:
    """The span of each token, of the prompt and then of the response.

    A token that straddles two parts belongs to the later one. None for tokens of no part: special
    ones, and what a chat template writes around the messages.

    Args:
        tokenizer: the one that encoded them.
        prompt: plain text or messages.
        response: as it was encoded.
        sequence: what `encode_response` made of them.

    Raises:
        PolicyError: the tokenizer does not tell where its tokens stand.
    """
    if not tokenizer.is_fast:
        raise PolicyError(
            f"The tokenizer of {tokenizer.name_or_path} does not tell where its tokens stand in "
            "the text; a fast one (tokenizer.json) is needed."
        )
    text = whole_text(tokenizer, prompt, response)
    encoding = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    wanted = [*sequence.prompt_ids, *sequence.response_ids]
    ahead = _ahead(encoding["input_ids"], wanted, tokenizer.name_or_path)
    starts = _part_starts(text, prompt, response)
    spans: list[Span | None] = [None] * len(wanted)
    for at, (start, end) in enumerate(encoding["offset_mapping"]):
        if ahead + at < len(wanted):
            spans[ahead + at] = _within(start, end, starts)
    return spans


def _ahead(ids: Sequence[int], wanted: Sequence[int], name: str) -> int:
    """How many special tokens come before those of the text."""
    for ahead in range(_MOST_AHEAD):
        rest = wanted[ahead : ahead + len(ids)]
        if list(ids[: len(rest)]) == list(rest):
            return ahead
    raise PolicyError(f"The tokenizer of {name} reads a text in two ways; no token can be placed.")


def _part_starts(text: str, prompt: PromptText, response: str) -> list[tuple[int, int]]:
    """Start and end of each part in the whole text."""
    said = [prompt] if isinstance(prompt, str) else [turn["content"] for turn in prompt]
    parts, cursor = [], 0
    for content in [*said, response]:
        found = text.find(content, cursor)
        if found < 0:  # a template may strip what a message begins and ends with
            content, found = content.strip(), text.find(content.strip(), cursor)
        if found < 0:
            raise PolicyError("The chat template rewrites a message; no token can be placed in it.")
        cursor = found + len(content)
        parts.append((found, cursor))
    return parts


def _within(start: int, end: int, parts: Sequence[tuple[int, int]]) -> Span | None:
    for part, (first, last) in enumerate(parts):
        if first < end <= last and start < end:
            return Span(part, max(start - first, 0), end - first)
    return None
