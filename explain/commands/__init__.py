"""Commands that explain, one file each; `irl` takes them from here."""

from collections.abc import Callable
from typing import Final

from explain.commands.attribute import attribute
from explain.commands.drift import drift
from explain.commands.tokens import tokens

COMMANDS: Final[tuple[Callable[..., None], ...]] = (attribute, drift, tokens)
