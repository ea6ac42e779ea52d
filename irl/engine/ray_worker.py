"""A process of a Ray cluster that does work; the class that Ray makes an actor of.

Nothing heavy is imported until the environment is that of the driver: libraries read it once.
"""

import os
import platform
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

Call = Callable[[Any], Any]
"Work as a record: takes what the worker holds"


@dataclass(frozen=True)
class Started:
    """What a worker is."""

    node: str
    versions: dict[str, str]
    about: object
    "what its load said of itself"


class Worker:
    """Holds what it has loaded and does one piece of work at a time."""

    def __init__(self, environment: Mapping[str, str], folder: str) -> None:
        os.environ.update(environment)
        with suppress(OSError):  # paths that the driver was given are relative to its folder
            os.chdir(folder)
        self.held: Any = None

    def start(self, load: Callable[[], tuple[Any, object]], threads: int) -> Started:
        """Load, once."""
        import torch

        from irl.policies.quiet import quiet_libraries
        from irl.runs import versions

        torch.set_num_threads(threads)
        quiet_libraries()
        self.held, about = load()
        return Started(platform.node(), versions(), about)

    def run(self, call: Call, threads: int) -> Any:
        """One piece of work."""
        import torch

        torch.set_num_threads(threads)
        return call(self.held)
