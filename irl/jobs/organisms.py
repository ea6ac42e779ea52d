"""The job `irl organisms build`."""

import logging
from pathlib import Path

from irl.errors import InputError
from irl.organisms import real_detox
from irl.policies.quiet import quiet_libraries

_LOG = logging.getLogger("irl.organisms")
MODELS = Path("artifacts/models")
ORGANISMS = {real_detox.NAME: real_detox.ABOUT}


def build(name: str, text: Path | None, seed: int, out: Path | None) -> Path:
    """Build an organism into a folder; stages whose files exist are kept.

    Raises:
        InputError: there is no such organism, or its text is not given.
    """
    if name not in ORGANISMS:
        raise InputError(f"There is no organism {name}; known: {', '.join(ORGANISMS)}.")
    if text is None or not text.is_dir():
        raise InputError(
            f"{name} learns from real text; give the folder of its Parquet files with --text DIR."
        )
    quiet_libraries()
    folder = out or MODELS / name
    if not (folder / "prompts.jsonl").is_file():
        raise InputError(
            f"{folder} has no prompts.jsonl; copy the one of the bundled pair there, on which the "
            "truth is measured."
        )
    _LOG.setLevel(logging.INFO)
    real_detox.build(real_detox.Build(text, folder, seed, _LOG.info))
    return folder
