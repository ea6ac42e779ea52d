"""What is asked of the workbench, and what it answers: one JSON object a line, each way."""

from typing import Annotated, Literal

from pydantic import Field

from irl.records.base import Caveat, Record

MOST_ANSWERS = 8
Method = Literal["none", "ablation", "integrated-gradients"]
Text = Annotated[str, Field(max_length=100_000)]


class Message(Record):
    """One turn of a chat."""

    role: str
    content: Text


class TypedQuestion(Record):
    """A prompt with answers, as they were typed."""

    prompt: Text | Annotated[tuple[Message, ...], Field(min_length=1)]
    "text is the message of a user where the prompts of the run are chats"
    responses: tuple[Text, ...] = Field(min_length=1, max_length=MOST_ANSWERS)
    before: tuple[Text | None, ...] = Field((), max_length=MOST_ANSWERS)
    "what each answer was before it was edited, to the same prompt; None where there was none"
    attribution: Method = "none"


class TypedToken(Record):
    """One token as both policies read it."""

    text: str
    "untrusted"
    special: bool
    aligned_nats: float
    reference_nats: float
    paid_for_nats: float | None
    "None where the reward cannot be told"

    @property
    def log_ratio_nats(self) -> float:
        """The value gained."""
        return self.aligned_nats - self.reference_nats


class Worth(Record):
    """A difference of rewards of answers to one prompt, nats, with its interval where it has one.

    n counts the prompts that the interval is taken over.
    """

    value: float
    low: float | None
    high: float | None
    n: int | None


class WordValue(Record):
    """A word with the white space before it, and what a method attributes to it."""

    text: str
    nats: float


class TypedMap(Record):
    """The words of an answer, and what they contribute to its log-ratio."""

    method: Method
    words: list[WordValue]
    whole_nats: float
    "what is shared out: the log-ratio less that of the text with every word taken out, or neutral"
    prompt_nats: float | None
    "what the words of the prompt contribute; None where they stay as they are"
    gap: float | None
    "how far the values are from adding up, relative; None where they need not"


class TypedAnswer(Record):
    """One answer."""

    tokens: list[TypedToken]
    log_ratio_nats: float
    "summed over the tokens; exact, so without an interval"
    reward: Worth | None
    "over an answer that says nothing"
    over_first: Worth | None
    "over the first answer; None for that one"
    over_before: Worth | None
    "over what it was before it was edited"
    attribution: TypedMap | None


class TypedAnswers(Record):
    """What the workbench says of a question."""

    answers: list[TypedAnswer]
    as_chat: bool
    "whether the prompt was read through the chat template"
    caveats: list[Caveat]
    seconds: float
