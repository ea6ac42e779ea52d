"""Workers of a Ray cluster: as many as asked for, one piece of work at a time to whichever is free.

1. Workers start; one that has loaded what it needs is free.
2. A free worker is handed the next piece. What it gives back is passed on as it comes.
3. A worker that is lost, with its node or alone, is replaced, and its piece is handed out again,
   a bounded number of times. What the work itself raises is raised here at once.
"""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from irl.engine.ray_worker import Call, Started, Worker
from irl.errors import InputError, IrlError, RunError
from irl.runs import versions

MOST_TRIES = 3
"Of a piece of work whose worker is lost; likewise of starting a worker, for each that is wanted"
PATIENCE_SECONDS = 180.0
"How long to wait for a node that has room for a worker, where none has any more"
_TURN_SECONDS = 0.5
_PASSED_ON = ("HF_HUB_OFFLINE", "HF_HOME", "HF_HUB_CACHE", "TRANSFORMERS_OFFLINE")
_LOG = logging.getLogger("irl")
Name = TypeVar("Name")


@dataclass(frozen=True)
class Room:
    """How many workers are wanted, and what each takes."""

    workers: int | None
    cpus: float
    gpus: float
    threads: int

    def on(self, resources: dict[str, float]) -> int:
        """How many a node has room for, if nothing else runs there."""
        asked = (self.cpus, resources.get("CPU", 0.0)), (self.gpus, resources.get("GPU", 0.0))
        return int(min((there + 1e-9) // wanted for wanted, there in asked if wanted > 0))


@dataclass
class _Piece:
    name: Any
    call: Call
    tries: int = 0


@dataclass
class Pool:
    """Workers that have all loaded the same; several threads may hand out work at once."""

    load: Callable[[], tuple[Any, object]]
    check: Callable[[Started], None]
    "refuses a worker that would compute something else"
    room: Room
    _free: list[Any] = field(default_factory=list)
    _starting: dict[Any, Any] = field(default_factory=dict)
    "workers by the reference to their start"
    _busy: set[Any] = field(default_factory=set)
    _lost_starts: int = 0
    _without_room_since: float | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)
    nodes: list[str] = field(default_factory=list)
    "of every worker that has started"

    def each(
        self, calls: Iterable[tuple[Name, Call]], what: str, at_most: int, threads: int
    ) -> Generator[tuple[Name, Any], None, None]:
        """What pieces of work give back, by their names, as it comes.

        Args:
            calls: the pieces, taken from when a worker is free.
            what: their name in messages.
            at_most: no more pieces than these will come.
            threads: that torch may use for each.

        Raises:
            RunError: a piece was lost too often, or no worker can be had.
            IrlError: whatever the work refuses.
        """
        coming, again = iter(calls), deque[_Piece]()
        flying: dict[Any, tuple[Any, _Piece]] = {}
        ended = False
        try:
            while True:
                while (again or not ended) and (worker := self._take(at_most)) is not None:
                    piece = again.popleft() if again else _next(coming)
                    if piece is None:
                        ended = True
                        self._give_back(worker)
                        break
                    flying[worker.run.remote(piece.call, threads)] = worker, piece
                if ended and not again and not flying:
                    return
                for ref in self._landed(list(flying), wanted=bool(again) or not ended):
                    worker, piece = flying.pop(ref)
                    found = self._result(ref, worker)
                    if isinstance(found, _Lost):
                        again.append(_once_more(piece, what, found))
                    else:
                        self._give_back(worker)
                        yield piece.name, found.value
        finally:
            for worker, _ in flying.values():
                self._forget(worker)

    def close(self) -> None:
        """Let all workers go."""
        import ray

        with self._lock:
            every = [*self._free, *self._busy, *self._starting.values()]
            self._free, self._busy, self._starting = [], set(), {}
        for worker in every:
            ray.kill(worker)

    def _take(self, at_most: int) -> Any | None:
        """A free worker, or None for now."""
        with self._lock:
            self._welcome()
            self._fill(at_most)
            if not self._free:
                return None
            worker = self._free.pop()
            self._busy.add(worker)
            return worker

    def _give_back(self, worker: Any) -> None:
        with self._lock:
            if worker in self._busy:
                self._busy.remove(worker)
                self._free.append(worker)

    def _forget(self, worker: Any) -> None:
        import ray

        with self._lock:
            self._busy.discard(worker)
        ray.kill(worker)

    def _fill(self, at_most: int) -> None:
        """Start workers until there are as many as wanted."""
        room = sum(map(self.room.on, nodes_alive()))
        self._see_room(room)
        wanted = min(self.room.workers or max(room, 1), at_most)
        for _ in range(wanted - len(self._free) - len(self._busy) - len(self._starting)):
            worker = _actor(self.room)
            self._starting[worker.start.remote(self.load, self.room.threads)] = worker

    def _see_room(self, room: int) -> None:
        if room or self._free or self._busy:
            self._without_room_since = None
            return
        now = time.monotonic()
        if self._without_room_since is None:
            self._without_room_since = now
            _LOG.warning("No node of the cluster has room for a worker; waiting for one.")
        if now - self._without_room_since > PATIENCE_SECONDS:
            raise RunError(
                f"For {PATIENCE_SECONDS:.0f} s no node of the cluster has had room for a worker "
                f"({_taken(self.room)}). Finished parts are kept; the same command goes on."
            )

    def _welcome(self) -> None:
        """Workers that have started are free; those that were lost meanwhile are counted."""
        import ray

        if not self._starting:
            return
        ready, _ = ray.wait(list(self._starting), num_returns=len(self._starting), timeout=0)
        for ref in ready:
            worker = self._starting.pop(ref)
            try:
                found = self._result(ref, worker)
            except Exception:
                ray.kill(worker)
                raise
            if isinstance(found, _Lost):
                self._lost_starts += 1
                if self._lost_starts > MOST_TRIES * max(self.room.workers or 1, len(self.nodes)):
                    raise RunError(
                        f"Workers are lost while they start ({found.reason}); if memory ran out, "
                        "fewer of them may fit: --workers, --cpus-per-worker."
                    )
                continue
            self.check(found.value)
            self.nodes.append(found.value.node)
            self._free.append(worker)

    def _landed(self, flying: Sequence[Any], *, wanted: bool) -> list[Any]:
        """The pieces that are done; waits a turn for one, or for a worker."""
        import ray

        with self._lock:
            starting = list(self._starting) if wanted else []
        waiting = [*flying, *starting]
        if not waiting:
            time.sleep(_TURN_SECONDS / 10)  # all workers are busy for someone else
            return []
        ready, _ = ray.wait(waiting, num_returns=1, timeout=_TURN_SECONDS)
        return [ref for ref in ready if ref in set(flying)]

    def _result(self, ref: Any, worker: Any) -> "_Found | _Lost":
        """What a worker has given back, or why it is lost; a lost one is forgotten."""
        import ray
        from ray import exceptions

        lost = (
            exceptions.RayActorError,
            exceptions.WorkerCrashedError,
            exceptions.NodeDiedError,
            exceptions.OutOfMemoryError,
            exceptions.ObjectLostError,
        )
        try:
            return _Found(ray.get(ref))
        except exceptions.RayTaskError as error:
            self._give_back(worker)
            cause = error.cause
            raise (cause if isinstance(cause, IrlError) else error) from None
        except lost as error:
            self._forget(worker)
            reason = str(error).strip().splitlines()[0]
            _LOG.warning("A worker was lost (%s); its work is handed out again.", reason)
            return _Lost(reason)


@dataclass(frozen=True)
class _Found:
    value: Any


@dataclass(frozen=True)
class _Lost:
    reason: str


def check_room(room: Room) -> None:
    """Refuse workers that no node has room for; a cluster that grows is asked for --workers.

    Raises:
        InputError: there is no such node, and no number of workers was asked for.
    """
    nodes = nodes_alive()
    if room.workers is None and not any(map(room.on, nodes)):
        largest = [
            f"{name} {max((node.get(name, 0.0) for node in nodes), default=0.0):g}"
            for name in ("CPU", "GPU")
        ]
        raise InputError(
            f"No node of the Ray cluster has room for a worker ({_taken(room)}; the most that one "
            f"has: {', '.join(largest)}); ask for less with --cpus-per-worker and "
            "--gpus-per-worker, or give --workers if nodes are still to come."
        )


def nodes_alive() -> list[dict[str, float]]:
    """The resources of every node that is alive."""
    import ray

    return [dict(node["Resources"]) for node in ray.nodes() if node["Alive"]]


def same_versions(started: Started) -> None:
    """Refuse a worker whose packages would compute other numbers.

    Raises:
        RunError: a version differs.
    """
    for name, ours in versions().items():
        theirs = started.versions.get(name)
        if theirs != ours:
            raise RunError(
                f"The node {started.node} has {name} {theirs}, here it is {ours}; install the same "
                "versions on every node."
            )


def _actor(room: Room) -> Any:
    import ray

    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    kind: Any = ray.remote(Worker)
    return kind.options(
        num_cpus=room.cpus, num_gpus=room.gpus, scheduling_strategy="SPREAD", max_restarts=0
    ).remote(environment, str(Path.cwd()))


def _next(coming: Iterator[tuple[Any, Call]]) -> _Piece | None:
    found = next(coming, None)
    return None if found is None else _Piece(*found)


def _once_more(piece: _Piece, what: str, lost: _Lost) -> _Piece:
    piece.tries += 1
    if piece.tries >= MOST_TRIES:
        raise RunError(
            f"{what} {piece.name} was lost {piece.tries} times with its worker ({lost.reason}). "
            "What is finished is kept; the same command goes on."
        )
    return piece


def _taken(room: Room) -> str:
    return f"a worker takes CPU {room.cpus:g}, GPU {room.gpus:g}"
