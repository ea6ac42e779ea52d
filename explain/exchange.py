"""A prompt with a response: what targets and aspects look at. No torch."""

from dataclasses import dataclass
from functools import cached_property

from irl.data import Prompt
from irl.rewards import words as splitting


@dataclass(frozen=True)
class Exchange:
    """A prompt and a response to it."""

    prompt: Prompt
    response: str
    prompt_type: str | None = None
    "where the source of the prompts names one"

    @cached_property
    def words(self) -> list[str]:
        """The lower-cased words of the response, in order; split once."""
        return splitting.words(self.response)
