"""What every run writes beside its result, and what `irl doctor` finds."""

from typing import Literal

from irl.records.base import Record


class Manifest(Record):
    """manifest.json: written last, so that its presence marks a finished run."""

    run_id: str
    command: str
    created: str
    versions: dict[str, str]
    settings: dict[str, object]
    counts: dict[str, int]
    files: dict[str, str]
    "file name to sha256"


class Check(Record):
    """One finding of `irl doctor`."""

    name: str
    status: Literal["ok", "warning", "failed"]
    text: str
