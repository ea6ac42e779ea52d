"""The kinds of aspects that a file can declare: what each may say, and the function it becomes."""

import importlib
import json
import math
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from explain import aspect_measures as measures
from explain.aspect_measures import Measure, Part
from irl.errors import InputError
from irl.rewards.words import words

SENTIMENT: Final = Path(__file__).parent / "stock" / "sentiment.json"

Text = Annotated[str, Field(min_length=1)]
Texts = Annotated[list[Text], Field(min_length=1)]
Name = Annotated[str, Field(pattern=r"^\w([\w -]{0,38}\w)?$")]
"A key of reports and a column of tables: letters, digits, spaces, _ and -"


@dataclass(frozen=True)
class Built:
    """A declaration as a function."""

    measure: Measure
    unit: str
    "unless the file names another"
    read: bytes = b""
    "what was read beside the file"


class Declaration(BaseModel):
    """What every kind has."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Name
    unit: Annotated[str, Field(min_length=1, max_length=60)] | None = None


class Regex(Declaration):
    """Matches of a pattern."""

    kind: Literal["regex"]
    pattern: Text
    ignore_case: bool = False
    at_most_once: bool = False

    def built(self, _: Path) -> Built:
        """The function."""
        try:
            pattern = re.compile(self.pattern, re.IGNORECASE if self.ignore_case else 0)
        except re.error as error:
            raise InputError(
                f"the pattern {self.pattern!r} is no regular expression of Python ({error})."
            ) from None
        if pattern.search(""):
            raise InputError(
                f"the pattern {self.pattern!r} matches where there is nothing, so it would count "
                "every place between characters; let it need at least one character."
            )
        unit = "response with a match" if self.at_most_once else "match"
        return Built(measures.matches(pattern, at_most_once=self.at_most_once), unit)


class Lexicon(Declaration):
    """Occurrences of words and phrases."""

    kind: Literal["lexicon"]
    terms: Texts
    at_most_once: bool = False

    def built(self, _: Path) -> Built:
        """The function."""
        unit = "response with one" if self.at_most_once else "occurrence"
        terms = _with_words(self.terms)
        return Built(measures.lexicon(terms, at_most_once=self.at_most_once), unit)


class Length(Declaration):
    """How long a response is."""

    kind: Literal["length"]
    of: Part = "words"

    def built(self, _: Path) -> Built:
        """The function."""
        return Built(measures.length(self.of), self.of.removesuffix("s"))


class Refusal(Declaration):
    """Whether a response refuses."""

    kind: Literal["refusal"]
    phrases: Texts = list(measures.REFUSALS)
    within_words: int = Field(30, ge=1)

    def built(self, _: Path) -> Built:
        """The function."""
        phrases = _with_words(self.phrases)
        return Built(measures.refusal(phrases, self.within_words), "refusing response")


class Sentiment(Declaration):
    """A linear model on words."""

    kind: Literal["sentiment"]
    coefficients: Text | None = None

    def built(self, folder: Path) -> Built:
        """The function."""
        file = SENTIMENT if self.coefficients is None else folder / self.coefficients
        try:
            read = file.read_bytes()
        except OSError as error:
            raise InputError(f"{file} cannot be read ({error.strerror or error}).") from None
        return Built(measures.sentiment(_coefficients(read)), "log-odds of praise", read)


class Repetition(Declaration):
    """Runs of words that were said before."""

    kind: Literal["repetition"]
    run: int = Field(3, ge=1)

    def built(self, _: Path) -> Built:
        """The function."""
        return Built(measures.repetition(self.run), f"repeated run of {self.run} words")


class Code(Declaration):
    """A Python function of the user's own."""

    kind: Literal["callable"]
    function: Annotated[str, Field(pattern=r"^[\w.]+:\w+$")]

    def built(self, folder: Path) -> Built:
        """The function; its module is run."""
        function, read = _imported(self.function, folder)
        return Built(measures.foreign(self.name, function), "unit", read)


AnyKind = Regex | Lexicon | Length | Refusal | Sentiment | Repetition | Code
KEYS: Final[dict[str, list[str]]] = {
    "regex": list(Regex.model_fields),
    "lexicon": list(Lexicon.model_fields),
    "length": list(Length.model_fields),
    "refusal": list(Refusal.model_fields),
    "sentiment": list(Sentiment.model_fields),
    "repetition": list(Repetition.model_fields),
    "callable": list(Code.model_fields),
}
"What each kind may say"


def _with_words(terms: list[str]) -> list[str]:
    for term in terms:
        if not words(term):
            raise InputError(f"the term {term!r} has no word; kind: regex finds punctuation.")
    return terms


def _coefficients(content: bytes) -> dict[str, float]:
    try:
        weights = json.loads(content)["weights"]
        found = {str(word): float(weight) for word, weight in weights.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        found = {}
    if not found or not all(map(math.isfinite, found.values())):
        raise InputError('its coefficients are not JSON of the form {"weights": {word: number}}.')
    return found


def _imported(name: str, folder: Path) -> tuple[Callable[..., object], bytes]:
    """A function by module:function, and the source of its module."""
    module_name, _, function_name = name.partition(":")
    try:
        with _beside(folder):
            module = importlib.import_module(module_name)
        function = getattr(module, function_name)
    except Exception as error:
        raise InputError(
            f"{name} cannot be imported ({type(error).__name__}: {error}); the module must lie "
            "beside the file or be installed."
        ) from error
    if not callable(function):
        raise InputError(f"{name} is not a function.")
    source = getattr(module, "__file__", None)
    return function, Path(source).read_bytes() if source else b""


@contextmanager
def _beside(folder: Path) -> Iterator[None]:
    place = str(folder.resolve())
    sys.path.append(place)
    try:
        yield
    finally:
        sys.path.remove(place)
