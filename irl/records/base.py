"""Results as plain data. These models are the schemas of the files that runs write.

Every key is always present; `None` means "not measured", and a caveat says why. Unknown keys are
errors. Weights and rewards are in nats, that is reward / beta, and carry no meaning across prompts.
"""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A frozen result that refuses unknown keys."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_serialization_defaults_required=True
    )

    def to_json(self) -> str:
        """The text of the file that holds it."""
        return self.model_dump_json(by_alias=True, indent=1) + "\n"


class Estimate(Record):
    """A number with its 95 % interval by cluster bootstrap; n counts clusters."""

    value: float
    low: float
    high: float
    n: int

    def __format__(self, form: str) -> str:
        """Value and interval in words, each number in this form."""
        return f"{self.value:{form}} ({self.low:{form}} to {self.high:{form}})"

    def with_n(self, form: str) -> str:
        """The same with n."""
        return f"{self:{form}}"[:-1] + f", n = {self.n})"


def said(estimate: Estimate | None) -> str:
    """An estimate in a command's words; a dash where there is none."""
    return "-" if estimate is None else f"{estimate:.3f}"


def counted_in_words(counts: Mapping[str, int]) -> str:
    """What was left out or is odd, by name; empty where nothing is."""
    return ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in counts.items() if n)


class Caveat(Record):
    """Something the reader must know before using the numbers."""

    code: str
    text: str


class Checkpoint(Record):
    """Which weights were read."""

    source: str
    sha256: str
    "over the files of the checkpoint, adapter and base together"
    dtype: str
    n_parameters: int
