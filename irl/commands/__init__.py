"""Commands about rewards, one file each; `irl` takes them from here."""

from collections.abc import Callable
from typing import Final

from irl.commands.ensemble import ensemble
from irl.commands.exports import export, serve
from irl.commands.judge import judge
from irl.commands.rewardbench import rewardbench

COMMANDS: Final[tuple[Callable[..., None], ...]] = (ensemble, export, judge, rewardbench, serve)
