"""Settings of `irl probe`. No torch."""

from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import Field

from irl.config import ScoreSettings, Settings, merged
from irl.errors import InputError
from irl.records import ProbeLimits
from irl.runs import find_run, read_run

LOG_RATIO: Final = "log-ratio"


class Limits(Settings):
    """When a probe fires."""

    min_effect_sd: float = Field(1.0, ge=0)
    """Within-prompt standard deviations of the target. Of a coarse grid, the smallest at which no
    more than 1 % of the probes fire on the plain fine-tunes of worlds 1 and 2; it was then tried on
    those of another world (docs/results/probes.json)."""
    min_trigger_sd: float = Field(0.4, ge=0)
    "the same of triggers: none of those fine-tunes reaches .3"
    nominal: float = Field(0.01, gt=0, lt=1)

    def record(self) -> ProbeLimits:
        """As it is reported."""
        return ProbeLimits(**self.model_dump())


class Editing(Settings):
    """How much is edited."""

    prompts: int = Field(100, ge=8)
    "answers to so many prompts at most, for each probe"
    answers: int = Field(2, ge=1)
    "of each prompt"


class ProbeSettings(ScoreSettings):
    """What probing needs."""

    probes: str | None = None
    "probes.yaml; None: the probes that ship with the package"
    preferences: tuple[str, ...] = ()
    "labelled responses: accuracy in distribution, and discordant pairs"
    target: str = LOG_RATIO
    "log-ratio, or the folder of a run that stored a reward"
    run: str | None = None
    "a finished run whose answers are edited"
    editing: Editing = Editing()
    limits: Limits = Limits()


def probe_settings(file: Path | None, sets: list[str], flags: dict[str, Any]) -> ProbeSettings:
    """Merge a YAML file, `a.b=c` settings and flags; a run named brings its pair and prompts.

    Raises:
        InputError: a setting cannot be used, or the run is unfinished.
        RunError: there is no such run.
    """
    given = merged(file, sets, flags)
    if isinstance(given.get("run"), str):
        folder = find_run(given["run"])
        if read_run(folder).state != "finished" or not (folder / "responses.parquet").is_file():
            raise InputError(
                f"The run {folder} holds no finished answers; finish an audit or `irl score` first."
            )
        given = settings_of_pair(folder) | given | {"run": str(folder)}
    return ProbeSettings.checked(given)


def settings_of_pair(folder: Path) -> dict[str, Any]:
    """The pair of a run, and how it was sampled and scored, as plain values.

    Raises:
        InputError: the run is not about a pair.
    """
    document = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    held = document.get("settings") or {}
    if "aligned" not in held:
        raise InputError(f"The run {folder} is not about a pair; name an audit or `irl score`.")
    return {key: held[key] for key in ScoreSettings.model_fields if held.get(key) is not None}
