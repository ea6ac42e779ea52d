"""The engine on a Ray cluster: workers hold both models, this process holds the shards.

What comes back is written here, under the keys of a local run: no file system need be shared, and
either engine goes on where the other has stopped. Checkpoints must be readable on every node.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import torch

from irl.engine.engine import Work
from irl.engine.ray_pool import Lost, Pool
from irl.engine.ray_room import Room, same_versions
from irl.engine.ray_worker import Call, Started
from irl.engine.shards import Progress, Shards
from irl.engine.sides import SIDES
from irl.errors import InputError, RunError
from irl.policies.pair import Origin, PolicyPair
from irl.policies.path import ScoringPath

Item = TypeVar("Item")
Result = TypeVar("Result")
Paths = dict[str, ScoringPath]
"What was found of either policy, by side"


class OnRay:
    """Work is handed to workers of the cluster that this process is connected to."""

    models_here = False

    def __init__(self, room: Room, threads: int | None = None) -> None:
        """What workers take; threads for each piece of work, None for those of the caller."""
        self.room, self.threads = room, threads
        self._pool: Pool | None = None
        self._holds: object = None
        self._lock = threading.Lock()

    def each_part(
        self,
        pair: PolicyPair,
        shards: Shards,
        parts: Sequence[Any],
        work: Work,
        progress: Progress,
    ) -> Iterator[pa.Table]:
        """Parts that are not there whole are computed by workers; none is kept in memory."""
        asked = _Asked(pair, shards, parts, work, progress)
        pool, threads = self._pool_of(pair), self.threads or torch.get_num_threads()
        named = f"{shards.name}, part"
        with closing(pool.each(asked.missing(), named, len(parts), threads)) as coming:
            for index, (table, paths) in coming:
                asked.keep(index, table, paths)
                yield from asked.ready()
        yield from asked.ready()

    def each(
        self,
        function: Callable[[Item], Result],
        items: Sequence[Item],
        what: str,
        lost: Callable[[Item, str], Result] | None = None,
    ) -> Iterator[Result]:
        """Items are handed to the workers that there are, or to new ones that hold nothing."""
        pool, threads = self._pool or self._pool_for(None, nothing, same_versions), self.threads
        calls = ((at, ItemCall(function, item)) for at, item in enumerate(items))
        there: dict[int, Result] = {}
        told = 0
        threads = threads or torch.get_num_threads()
        with closing(pool.each(calls, what, len(items), threads, gives_up=lost is None)) as coming:
            for at, result in coming:
                if lost is not None and isinstance(result, Lost):
                    result = lost(items[at], result.reason)
                there[at] = result
                while told in there:
                    yield there.pop(told)
                    told += 1

    @property
    def nodes(self) -> list[str]:
        """The node of every worker that has started, those that were lost included."""
        return [] if self._pool is None else self._pool.nodes

    def close(self) -> None:
        """Let the workers go."""
        with self._lock:
            if self._pool is not None:
                self._pool.close()
            self._pool = self._holds = None

    def _pool_of(self, pair: PolicyPair) -> Pool:
        if pair.served:
            raise InputError(
                "A served policy is scored by its server, however many machines ask it; leave "
                "--engine out, and give the server more machines."
            )
        if pair.origin is None:
            raise InputError(
                "This pair was put together in memory, so workers cannot load it; load it with "
                "load_pair, or work locally."
            )
        expected = tuple(getattr(pair, side).checkpoint.sha256 for side in SIDES)
        return self._pool_for(
            (pair.origin, expected),
            PairLoad(everywhere(pair.origin)),
            lambda started: _same_pair(started, expected),
        )

    def _pool_for(
        self,
        holds: object,
        load: Callable[[], tuple[Any, object]],
        check: Callable[[Started], None],
    ) -> Pool:
        """The workers that hold this; others are let go, for there may be no room for both."""
        with self._lock:
            if self._pool is None or self._holds != holds:
                if self._pool is not None:
                    self._pool.close()
                self._pool, self._holds = Pool(load, check, self.room), holds
            return self._pool


@dataclass
class _Asked:
    """Parts that were asked for: which are there, and how many have been passed on."""

    pair: PolicyPair
    shards: Shards
    parts: Sequence[Any]
    work: Work
    progress: Progress
    there: set[int] = field(default_factory=set)
    keys: dict[int, str] = field(default_factory=dict)
    "of parts that are being computed"
    found: dict[int, Paths] = field(default_factory=dict)
    passed_on: int = 0

    def missing(self) -> Iterator[tuple[int, Call]]:
        """What must be computed."""
        finished = self.shards.finished()
        for index in range(len(self.parts)):
            part = self.parts[index]
            key = self.shards.key(part)
            if self.shards.holds(index, finished.get(index), key):
                self.there.add(index)
            else:
                self.keys[index] = key
                yield index, PartCall(self.work.at(part), index, part)

    def keep(self, index: int, table: pa.Table, paths: Paths) -> None:
        """Write what has come."""
        self.shards.keep(index, table, self.keys.pop(index))
        self.there.add(index)
        self.found[index] = paths

    def ready(self) -> Iterator[pa.Table]:
        """What is next in order and there; read again, so that what came early waits on disk."""
        while self.passed_on in self.there:
            index = self.passed_on
            self.there.remove(index)
            for side, path in self.found.pop(index, {}).items():
                getattr(self.pair, side).path.take(path)
            self.passed_on += 1
            self.progress(self.shards.name, self.passed_on, len(self.parts))
            yield self.shards.read(index)


@dataclass(frozen=True)
class PairLoad:
    """Load a pair; what is said of it is the hashes of its checkpoints."""

    origin: Origin

    def __call__(self) -> tuple[PolicyPair, object]:
        """The pair, and its hashes."""
        pair = self.origin.load()
        return pair, tuple(getattr(pair, side).checkpoint.sha256 for side in SIDES)


@dataclass(frozen=True)
class PartCall:
    """One part for a worker that holds the pair."""

    work: Work
    index: int
    part: Any

    def __call__(self, pair: PolicyPair) -> tuple[pa.Table, Paths]:
        """The rows, and what is known of both policies by now."""
        table = self.work(pair, self.index, self.part)
        return table, {side: getattr(pair, side).path for side in SIDES}


@dataclass(frozen=True)
class ItemCall:
    """One item for any worker."""

    function: Callable[[Any], Any]
    item: Any

    def __call__(self, _: object) -> Any:
        """What the function makes of it."""
        return self.function(self.item)


def nothing() -> tuple[None, None]:
    """What a worker holds that needs no models."""
    return None, None


def everywhere(origin: Origin) -> Origin:
    """Folders by their absolute paths: workers run in other folders; hub ids as they are."""
    named = origin.reference
    reference = None if named is None else _absolute(named)
    return replace(origin, aligned=_absolute(origin.aligned), reference=reference)


def _absolute(source: str) -> str:
    folder = Path(source).expanduser()
    return str(folder.absolute()) if folder.exists() else source


def _same_pair(started: Started, expected: tuple[str, ...]) -> None:
    same_versions(started)
    if started.about != expected:
        raise RunError(
            f"The node {started.node} has other files under the names of these checkpoints than "
            "this machine; copy the same ones to every node."
        )
