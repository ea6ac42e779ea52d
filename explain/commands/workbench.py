"""`irl workbench`: what is typed, scored; for the dashboard, which talks to it line by line."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from irl.jobs.terminal import answers_alone


def workbench(
    run: Annotated[Path, typer.Argument(help="Folder of an audit.")],
) -> None:
    """Score questions, one JSON object a line, with the pair and the reward of an audit."""
    with answers_alone() as answers:
        from explain.jobs.workbench import converse

        converse(run, sys.stdin.buffer, answers)
