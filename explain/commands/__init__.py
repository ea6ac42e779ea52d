"""Commands that explain, one file each; `irl` takes them from here."""

from collections.abc import Callable
from typing import Final

from explain.commands.probe import probe

COMMANDS: Final[tuple[Callable[..., None], ...]] = (probe,)
