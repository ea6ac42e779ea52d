"""Commands that explain, one file each; `irl` takes them from here."""

from collections.abc import Callable
from typing import Final

COMMANDS: Final[tuple[Callable[..., None], ...]] = ()
