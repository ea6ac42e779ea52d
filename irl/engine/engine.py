"""What does the work of a run: this process, or others (`irl.engine.on_ray`).

An engine may change when and where something is computed, never what: the same parts lie in the
same shards under the same keys, so that one engine goes on where another has stopped.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final, Protocol, TypeVar, runtime_checkable

import pyarrow as pa

from irl.engine.shards import Progress, Shards, each_part
from irl.policies.pair import PolicyPair

Item = TypeVar("Item")
Result = TypeVar("Result")


@runtime_checkable
class Work(Protocol):
    """What is done to a part, as a record that can be sent to another process."""

    def __call__(self, pair: PolicyPair, index: int, part: Any, /) -> pa.Table:
        """The rows of a part, by its index."""

    def at(self, part: Any, /) -> "Work":
        """The work of one part alone, no larger than it must be to be sent."""


@runtime_checkable
class Engine(Protocol):
    """Where work is done."""

    @property
    def models_here(self) -> bool:
        """Whether this process scores; if not, a pair without weights will do."""

    def each_part(
        self,
        pair: PolicyPair,
        shards: Shards,
        parts: Sequence[Any],
        work: Work,
        progress: Progress,
    ) -> Iterator[pa.Table]:
        """The rows of each part in order, computed or read if they are there whole."""

    def each(
        self,
        function: Callable[[Item], Result],
        items: Sequence[Item],
        what: str,
        lost: Callable[[Item, str], Result] | None = None,
    ) -> Iterator[Result]:
        """What a function of a module makes of each item, in order.

        Args:
            function: importable by its name, for processes that are not this one.
            items: anything that can be sent.
            what: the name of the items, for messages.
            lost: what stands for an item that takes its workers with it, and why it does; None
                raises RunError.
        """


class Here:
    """In this process, one after the other."""

    models_here = True

    def each_part(
        self,
        pair: PolicyPair,
        shards: Shards,
        parts: Sequence[Any],
        work: Work,
        progress: Progress,
    ) -> Iterator[pa.Table]:
        """See `irl.engine.shards.each_part`."""
        return each_part(shards, parts, partial(work, pair), progress)

    def each(
        self,
        function: Callable[[Item], Result],
        items: Sequence[Item],
        what: str,
        lost: Callable[[Item, str], Result] | None = None,
    ) -> Iterator[Result]:
        """One after the other."""
        del what, lost
        return map(function, items)


HERE: Final = Here()
