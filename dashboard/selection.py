"""What the page shows, as it stands in the URL: strings only."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from explain.shading import COLUMNS, Colour

DEFAULT_COLOUR: Final[Colour] = "paid_for"


@dataclass(frozen=True)
class Selection:
    """What the reader has chosen."""

    run: str | None = None
    "the name of a run folder; never used as a path, only looked up among the listed runs"
    response: str | None = None
    "the id of a response; only looked up in the run's tables"
    colour: Colour = DEFAULT_COLOUR
    "what the response's tokens are coloured by"
    find: str | None = None
    "words to look for in prompts and responses; only ever compared with them"

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> "Selection":
        """Read it from the query of a URL; an empty value means nothing is chosen."""
        asked = query.get("colour")
        return cls(
            run=query.get("run") or None,
            response=query.get("response") or None,
            colour=next((known for known in COLUMNS if known == asked), DEFAULT_COLOUR),
            find=query.get("find") or None,
        )

    def to_query(self) -> dict[str, str]:
        """The query that leads to it; what goes without saying is left out."""
        colour = None if self.colour == DEFAULT_COLOUR else self.colour
        parts = {"run": self.run, "response": self.response, "colour": colour, "find": self.find}
        return {name: text for name, text in parts.items() if text is not None}
