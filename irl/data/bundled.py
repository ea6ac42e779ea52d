"""The pair that comes with the repository."""

from pathlib import Path
from typing import Any

from irl.errors import InputError

BUNDLED_PAIR = Path(__file__).parents[2] / "artifacts" / "models" / "real-detox"


def bundled_pair(folder: Path = BUNDLED_PAIR) -> dict[str, Any]:
    """The settings that audit the pair which comes with the repository.

    Raises:
        InputError: the pair is not there, as in an installation without the repository.
    """
    if not (folder / "aligned" / "config.json").is_file():
        raise InputError(
            f"The bundled pair is not at {folder}; give --aligned and --reference, or run from a "
            "clone of the repository."
        )
    return {
        "aligned": _near(folder / "aligned"),
        "reference": _near(folder / "reference"),
        "prompts": _near(folder / "prompts.jsonl"),
        "preferences": [_near(folder / "heldout_preferences.jsonl")],
        "trained_with": "rloo",
    }


def _near(path: Path) -> str:
    """Relative to the working directory where possible: the same run on every machine."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
