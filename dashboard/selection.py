"""What the page shows, as it stands in the URL: strings only."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Selection:
    """What the reader has chosen."""

    run: str | None = None
    "the name of a run folder; never used as a path, only looked up among the listed runs"

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> "Selection":
        """Read it from the query of a URL; an empty value means nothing is chosen."""
        return cls(run=query.get("run") or None)

    def to_query(self) -> dict[str, str]:
        """The query that leads to it."""
        return {} if self.run is None else {"run": self.run}
