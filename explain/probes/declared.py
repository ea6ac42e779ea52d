"""probes.yaml: which probes to run, and the words that they need."""

import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from explain.probes.edits import WORD, Style, phrase
from irl.errors import InputError
from irl.records import PromptCondition
from irl.rewards.conditions import TypedPrompt, applies

Some = Annotated[tuple[str, ...], Field(min_length=1)]
STOCK = files("explain.probes") / "stock.yaml"
"Probes that run on any English pair"


class Declared(BaseModel):
    """Base: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Where(Declared):
    """A condition on the prompt: one of the two."""

    prompt_type: str | None = None
    prompt_contains: str | None = None
    "a word"

    @model_validator(mode="after")
    def _one(self) -> "Where":
        if (self.prompt_type is None) == (self.prompt_contains is None):
            raise ValueError("only_where needs prompt_type or prompt_contains, and not both")
        return self

    def holds(self, prompt: TypedPrompt) -> bool:
        """Whether a prompt meets it."""
        return applies(PromptCondition(**self.model_dump()), prompt.text, prompt.type)

    def __str__(self) -> str:
        if self.prompt_type is not None:
            return f"prompts of type {self.prompt_type}"
        return f"prompts with {self.prompt_contains}"


class Bias(Declared):
    """Base of what is tried on answers."""

    name: str = Field(min_length=1)
    only_where: Where | None = None
    "measure where the prompt meets a condition, elsewhere, and the difference"


class Append(Bias):
    """One more sentence at the end."""

    kind: Literal["append"]
    texts: Some


class Opening(Bias):
    """Words before the first sentence, or before the last."""

    kind: Literal["opening"]
    texts: Some
    last: bool = False


class Reorder(Bias):
    """The last two sentences change places."""

    kind: Literal["reorder"]


class Formatting(Bias):
    """The same words in another dress."""

    kind: Literal["formatting"]
    style: Style = "bullets"


class Swap(Bias):
    """Words replaced by their partners."""

    kind: Literal["swap"]
    table: dict[str, str] = Field(min_length=1)
    every: bool = True
    "False: only the first that is found"


class Words(Bias):
    """One of these words in a place where another may stand as well."""

    kind: Literal["words"]
    words: Some
    instead: Some
    contexts: Some = (WORD,)

    @model_validator(mode="after")
    def _in_place(self) -> "Words":
        if any(WORD not in context for context in self.contexts):
            raise ValueError(f"each of contexts must hold {WORD}")
        if both := {one.lower() for one in self.words} & {one.lower() for one in self.instead}:
            raise ValueError(f"{min(both)} stands in words and in instead")
        return self


class Opinion(Bias):
    """Is agreement worth more where the prompt states an opinion?"""

    kind: Literal["opinion"]
    opinions: Some
    "put behind what the user says"
    agree: Some
    disagree: Some

    @model_validator(mode="after")
    def _whole(self) -> "Opinion":
        if self.only_where is not None:
            raise ValueError("a probe of kind opinion makes its own condition, without only_where")
        return self


AnyBias = Annotated[
    Append | Opening | Reorder | Formatting | Swap | Words | Opinion, Field(discriminator="kind")
]


class Feature(Declared):
    """What a text may have: a pattern or words to find it by, and texts that bring it."""

    name: str
    terms: tuple[str, ...] = ()
    pattern: str | None = None
    "a regular expression, in the place of terms"
    insert: tuple[str, ...] = ()
    "texts that bring it, put before the last sentence; the terms themselves if empty"

    @model_validator(mode="after")
    def _found_by(self) -> "Feature":
        if bool(self.terms) == bool(self.pattern):
            raise ValueError(f"the feature {self.name} needs terms or a pattern, and not both")
        if not self.terms and not self.insert:
            raise ValueError(f"the feature {self.name} has a pattern, so it needs texts to insert")
        try:
            found = self.finder()
        except re.error as error:
            raise ValueError(f"{self.pattern!r} is no regular expression ({error})") from None
        if strange := [text for text in self.texts if not found.search(text)]:
            raise ValueError(f"{strange[0]!r} does not bring the feature {self.name}")
        return self

    @property
    def texts(self) -> tuple[str, ...]:
        """What is inserted or taken away."""
        return self.insert or self.terms

    def finder(self) -> re.Pattern[str]:
        """Finds it in a text."""
        return re.compile(self.pattern, re.IGNORECASE) if self.pattern else phrase(self.terms)


class TwoByTwo(Declared):
    """A goal, and a proxy that goes with it where the policy was trained."""

    name: str = "goal and proxy"
    goal: Feature
    proxy: Feature


class Triggers(Declared):
    """The search for words of prompts that change what answers are worth."""

    vocabulary: tuple[str, ...] = ()
    "words to search for; all words of the prompts if empty"
    min_prompts: int = Field(8, ge=3)
    named: int = Field(5, ge=1)


class Flips(Declared):
    """The search for the smallest edits that flip a preference."""

    pairs: int = Field(20, ge=1)
    swaps: dict[str, str] = {}
    "words that may be replaced; all others can only go"


class Probes(Declared):
    """probes.yaml."""

    bias: tuple[AnyBias, ...] = ()
    two_by_two: tuple[TwoByTwo, ...] = ()
    triggers: Triggers | None = None
    flips: Flips | None = None

    @model_validator(mode="after")
    def _names_differ(self) -> "Probes":
        names = [one.name for one in (*self.bias, *self.two_by_two)]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"two probes have the name {twice[0]}")
        if not names and self.triggers is None and self.flips is None:
            raise ValueError("it declares no probe: give bias, two_by_two, triggers or flips")
        return self


def read_probes(file: Path | None) -> Probes:
    """The probes of a file; those that ship with the package if None.

    Raises:
        InputError: it is missing or cannot be used; the message names the key.
    """
    source = STOCK if file is None else file
    try:
        document: Any = yaml.safe_load(source.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"The probes file {file} cannot be read as YAML ({reason}); give an existing YAML file."
        ) from None
    if not isinstance(document, dict):
        raise InputError(f"The probes file {file} must hold `key: value` lines at its top level.")
    try:
        return Probes.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        reason = first["msg"].removeprefix("Value error, ")
        raise InputError(
            f"The probes file {file} cannot be used: {_place(first['loc'])}{reason}."
        ) from None


def _place(parts: Sequence[str | int]) -> str:
    return f"{'.'.join(str(part) for part in parts)}: " if parts else ""
