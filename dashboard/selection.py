"""What the page shows, as it stands in the URL: strings only, none of which is trusted."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import TypeVar

Known = TypeVar("Known", bound=str)


@dataclass(frozen=True)
class Selection:
    """What the reader has chosen; None where that is what goes without saying."""

    run: str | None = None
    "the name of a run folder; never used as a path, only looked up among the listed runs"
    response: str | None = None
    "the id of a response; only looked up in the run's tables"
    token: str | None = None
    "the position of one of its tokens, from 0"
    colour: str | None = None
    "what the response's tokens are coloured by"
    by: str | None = None
    "what is coloured: tokens, words, ..."
    find: str | None = None
    "words to look for in prompts and responses; only ever compared with them"
    source: str | None = None
    "whose responses are listed"
    order: str | None = None
    "of the responses that are listed"
    page: str | None = None
    "of them, from 1"
    category: str | None = None
    "of responses, by why they need a person"
    shape: str | None = None
    "of a figure"
    part: str | None = None
    "of what the page has to say"
    answers: str | None = None
    "how many are typed beside each other"
    method: str | None = None
    "by which words are given values"
    figure: str | None = None
    "of every method, that is drawn"
    groups: str | None = None
    "of prompts: by what they are told apart"
    odds: str | None = None
    "which score's"
    plane: str | None = None
    "of true rewards and which score"
    wrong: str | None = None
    "whose pairs: which score's"

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> "Selection":
        """Read it from the query of a URL; an empty value means nothing is chosen."""
        return cls(**{one.name: query.get(one.name) or None for one in fields(cls)})

    def to_query(self) -> dict[str, str]:
        """The query that leads to it; what goes without saying is left out."""
        return {name: text for name, text in asdict(self).items() if text is not None}


def among(asked: str | None, known: Iterable[Known]) -> Known:
    """What was asked for where it is known, else what goes without saying: the first."""
    options = list(known)
    return next((one for one in options if one == asked), options[0])


def number(asked: str | None) -> int | None:
    """A number from 0 on, if that is what was asked for."""
    return int(asked) if asked and asked.isascii() and asked.isdigit() and len(asked) < 10 else None
