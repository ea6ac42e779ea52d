"""The recoveries among the examples: one pair's reward by several methods, several seeds each.

Their answers are those of the pair's audit, drawn alike, and are left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from irl.config import PairHeadSettings
from irl.engine.shards import Progress, silent
from irl.jobs.pair_recovery import recover_from_pair

LEFT_OUT = ("responses.parquet", "tokens.parquet")


@dataclass(frozen=True)
class Recoveries:
    """Which pair, by which methods."""

    pair: Path
    "folder with reference/, aligned/, prompts.jsonl and heldout_preferences.jsonl"
    methods: tuple[str, ...] = ("log-ratio", "bradley-terry", "max-entropy")
    settings: Mapping[str, Any] = field(default_factory=dict)
    "as `irl recover` takes them, beside the pair and the method"

    @property
    def names(self) -> list[str]:
        """Of the run folders."""
        return [f"{self.pair.name}-{method}" for method in self.methods]


def make_recoveries(
    root: Path, recoveries: Recoveries, *, progress: Progress = silent
) -> list[str]:
    """Make them afresh under a folder of examples.

    Returns:
        Their names.

    Raises:
        IrlError: the pair cannot be used.
    """
    pair = recoveries.pair
    given = {
        "aligned": str(pair / "aligned"),
        "reference": str(pair / "reference"),
        "prompts": str(pair / "prompts.jsonl"),
        "preferences": [str(pair / "heldout_preferences.jsonl")],
        **recoveries.settings,
    }
    for name, method in zip(recoveries.names, recoveries.methods, strict=True):
        settings = PairHeadSettings.checked(given | {"method": method})
        made = recover_from_pair(settings, root / name, fresh=True, progress=progress)
        made.run.finish_without(LEFT_OUT)
    return recoveries.names
