"""Commands about rewards, one file each; `irl` takes them from here."""

from collections.abc import Callable
from typing import Final

from irl.commands.align import align
from irl.commands.best_of_n import best_of_n
from irl.commands.ensemble import ensemble
from irl.commands.exports import export, serve
from irl.commands.judge import judge
from irl.commands.parity import parity
from irl.commands.prompts import prompts
from irl.commands.rewardbench import rewardbench
from irl.commands.score import score
from irl.commands.trust import trust

COMMANDS: Final[tuple[Callable[..., None], ...]] = (
    *(align, best_of_n, ensemble, export, judge, parity),
    *(prompts, rewardbench, score, serve, trust),
)
