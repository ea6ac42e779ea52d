"""Commands about rewards, one file each; `irl` takes them from here."""

from collections.abc import Callable
from typing import Final

from irl.commands.ensemble import ensemble

COMMANDS: Final[tuple[Callable[..., None], ...]] = (ensemble,)
