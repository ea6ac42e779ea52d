"""Commands that explain, one file each; `irl` takes them from here."""

from collections.abc import Callable
from typing import Final

from explain.commands.aspects import aspects
from explain.commands.attribute import attribute
from explain.commands.audits import audits
from explain.commands.concepts import concepts
from explain.commands.drift import drift
from explain.commands.extrapolate import extrapolate
from explain.commands.probe import probe
from explain.commands.recover import recover
from explain.commands.segments import segments
from explain.commands.tokens import tokens
from explain.commands.workbench import workbench

COMMANDS: Final[tuple[Callable[..., None], ...]] = (
    aspects,
    attribute,
    audits,
    concepts,
    drift,
    extrapolate,
    probe,
    recover,
    segments,
    tokens,
    workbench,
)
HIDDEN: Final[tuple[Callable[..., None], ...]] = (workbench,)
"Nobody calls these by hand"
