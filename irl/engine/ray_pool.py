"""Workers of a Ray cluster: as many as asked for, one piece of work at a time to whichever is free.

1. Workers start; one that has loaded what it needs is free.
2. A free worker is handed the next piece. What it gives back is passed on as it comes.
3. A worker that is lost, with its node or alone, is replaced, and its piece is handed out again,
   a bounded number of times. What the work itself raises is raised here at once.
"""

import logging
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from irl.engine.ray_room import Room, nodes_alive
from irl.engine.ray_worker import Call, Started, Worker
from irl.engine.settings import MOST_TRIES
from irl.errors import IrlError, RunError, first_line

PATIENCE_SECONDS = 900.0
"How long to wait for a node that has room for a worker, where none has any more"
SILENCE_SECONDS = 30.0
"After which a run that waits for its first worker says so"
LOOK_SECONDS = 5.0
"Between looks at the nodes: some come, some are lost"
INTERRUPTED = 130
_TURN_SECONDS = 0.5
_PASSED_ON = ("HF_HUB_OFFLINE", "HF_HOME", "HF_HUB_CACHE", "TRANSFORMERS_OFFLINE")
_LOG = logging.getLogger("irl")
Name = TypeVar("Name")


@dataclass
class _Piece:
    name: Any
    call: Call
    tries: int = 0


@dataclass
class Waiting:
    """How long nothing has worked."""

    since: float | None = None
    said: bool = False

    def look(self, room: Room, has_room_for: int, *, idle: bool) -> None:
        """Say that nothing works yet, and give up where nothing can.

        Raises:
            RunError: no node has had room for a worker for too long.
        """
        now = time.monotonic()
        if not idle:
            self.since = None
            return
        if self.since is None:
            self.since, self.said = now, False
        waited = now - self.since
        if waited > SILENCE_SECONDS and not self.said:
            self.said = True
            why = "models are loaded, or others use the cluster" if has_room_for else "no room"
            _LOG.warning("Still waiting for a worker: %s (%s).", why, room)
        if not has_room_for and waited > PATIENCE_SECONDS:
            raise RunError(
                f"For {PATIENCE_SECONDS:.0f} s no node of the cluster has had room for a worker "
                f"({room}). Finished parts are kept; the same command goes on."
            )


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
    _waiting: Waiting = field(default_factory=Waiting)
    _looked_at: float = -math.inf
    _has_room_for: int = 0
    _lock: threading.RLock = field(default_factory=threading.RLock)
    nodes: list[str] = field(default_factory=list)
    "of every worker that has started"

    def each(
        self,
        calls: Iterable[tuple[Name, Call]],
        what: str,
        at_most: int,
        threads: int,
        *,
        gives_up: bool = True,
    ) -> Generator[tuple[Name, Any], None, None]:
        """What pieces of work give back, by their names, as it comes.

        Args:
            calls: the pieces, taken from when a worker is free.
            what: their name in messages.
            at_most: no more pieces than these will come.
            threads: that torch may use for each.
            gives_up: at a piece that is lost too often; else `Lost` stands for what it gives back.

        Raises:
            RunError: a piece was lost too often, or no worker can be had.
            IrlError: whatever the work refuses.
        """
        turn = _Turn(self, iter(calls), what, at_most, threads, gives_up)
        try:
            while turn.goes_on:
                turn.send()
                yield from turn.landed()
        finally:
            for worker, _ in turn.flying.values():
                self.forget(worker)

    def close(self) -> None:
        """Let all workers go."""
        import ray

        with self._lock:
            every = [*self._free, *self._busy, *self._starting.values()]
            self._free, self._busy, self._starting = [], set(), {}
        for worker in every:
            ray.kill(worker)

    def take(self, at_most: int) -> Any | None:
        """A free worker, or None for now."""
        with self._lock:
            self._welcome()
            self._fill(at_most)
            if not self._free:
                return None
            worker = self._free.pop()
            self._busy.add(worker)
            return worker

    def give_back(self, worker: Any) -> None:
        """A worker is free again."""
        with self._lock:
            if worker in self._busy:
                self._busy.remove(worker)
                self._free.append(worker)

    def forget(self, worker: Any) -> None:
        """A worker is lost, or does what nobody waits for any more."""
        import ray

        with self._lock:
            self._busy.discard(worker)
        ray.kill(worker)

    def _fill(self, at_most: int) -> None:
        """Start workers until there are as many as wanted."""
        now = time.monotonic()
        if now - self._looked_at > LOOK_SECONDS:
            self._looked_at, self._has_room_for = now, sum(map(self.room.on, nodes_alive()))
        self._waiting.look(self.room, self._has_room_for, idle=not (self._free or self._busy))
        wanted = min(self.room.workers or max(self._has_room_for, 1), at_most)
        for _ in range(wanted - len(self._free) - len(self._busy) - len(self._starting)):
            worker = _actor(self.room)
            self._starting[worker.start.remote(self.load, self.room.threads)] = worker

    def _welcome(self) -> None:
        """Workers that have started are free; those that were lost meanwhile are counted."""
        import ray

        if not self._starting:
            return
        ready, _ = ray.wait(list(self._starting), num_returns=len(self._starting), timeout=0)
        for ref in ready:
            worker = self._starting.pop(ref)
            try:
                found = _outcome(ref)
                if isinstance(found, _Found):
                    self.check(found.value)
            except Exception:
                ray.kill(worker)
                raise
            if isinstance(found, Lost):
                self._lost_starts += 1
                wanted = self.room.workers or max(self._has_room_for, len(self.nodes), 1)
                if self._lost_starts > MOST_TRIES * wanted:
                    raise RunError(
                        f"Workers are lost while they start ({found.reason}); if memory ran out, "
                        "fewer of them may fit: --workers, --cpus-per-worker."
                    )
                continue
            self.nodes.append(found.value.node)
            self._free.append(worker)

    def landed(self, flying: Sequence[Any], *, wanted: bool) -> list[Any]:
        """The pieces that are done; waits a turn for one, or for a worker."""
        import ray

        with self._lock:
            starting = list(self._starting) if wanted else []
        waiting = [*flying, *starting]
        if not waiting:
            time.sleep(_TURN_SECONDS / 10)  # all workers are busy for someone else
            return []
        try:
            ready, _ = ray.wait(waiting, num_returns=1, timeout=_TURN_SECONDS)
        except SystemExit:  # Ctrl-C, of which Ray forgets the exit code
            raise SystemExit(INTERRUPTED) from None
        return [ref for ref in ready if ref in set(flying)]


@dataclass(frozen=True)
class _Found:
    value: Any


@dataclass(frozen=True)
class Lost:
    """A worker is, and why."""

    reason: str


def _actor(room: Room) -> Any:
    import ray

    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    kind: Any = ray.remote(Worker)
    return kind.options(
        num_cpus=room.cpus, num_gpus=room.gpus, scheduling_strategy="SPREAD", max_restarts=0
    ).remote(environment, str(Path.cwd()))


@dataclass
class _Turn:
    """The pieces that one caller hands out: to come, in flight, and to be handed out again."""

    pool: Pool
    coming: Iterator[tuple[Any, Call]]
    what: str
    at_most: int
    threads: int
    gives_up: bool
    ended: bool = False
    again: deque[_Piece] = field(default_factory=deque)
    flying: dict[Any, tuple[Any, _Piece]] = field(default_factory=dict)

    @property
    def wanting(self) -> bool:
        """Whether a free worker would be handed something."""
        return bool(self.again) or not self.ended

    @property
    def goes_on(self) -> bool:
        """Whether anything is left."""
        return self.wanting or bool(self.flying)

    def send(self) -> None:
        """Hand out a piece to every free worker; without a piece, no worker is started."""
        while (piece := self._next()) is not None:
            worker = self.pool.take(self.at_most)
            if worker is None:
                self.again.appendleft(piece)
                return
            self.flying[worker.run.remote(piece.call, self.threads)] = worker, piece

    def landed(self) -> Iterator[tuple[Any, Any]]:
        """What has come back by now, or for good will not."""
        for ref in self.pool.landed(list(self.flying), wanted=self.wanting):
            worker, piece = self.flying.pop(ref)
            try:
                found = _outcome(ref)
            except Exception:
                self.pool.give_back(worker)
                raise
            if isinstance(found, _Found):
                self.pool.give_back(worker)
                yield piece.name, found.value
                continue
            self.pool.forget(worker)
            piece.tries += 1
            if piece.tries < MOST_TRIES:
                self.again.append(piece)
            elif self.gives_up:
                raise RunError(_given_up(piece, self.what, found))
            else:
                yield piece.name, found

    def _next(self) -> _Piece | None:
        if self.again:
            return self.again.popleft()
        found = None if self.ended else next(self.coming, None)
        self.ended = found is None
        return None if found is None else _Piece(*found)


def _outcome(ref: Any) -> _Found | Lost:
    """What a worker has given back, or why it is lost; what the work itself raised is raised."""
    import ray
    from ray import exceptions

    lost = (
        exceptions.RayActorError,
        exceptions.WorkerCrashedError,
        exceptions.NodeDiedError,
        exceptions.OutOfMemoryError,
        exceptions.ObjectLostError,
        exceptions.LocalRayletDiedError,
    )
    try:
        return _Found(ray.get(ref))
    except exceptions.RayTaskError as error:
        cause = error.cause
        raise (cause if isinstance(cause, IrlError) else error) from None
    except lost as error:
        reason = first_line(error)
        _LOG.warning("A worker was lost (%s); its work is handed out again.", reason)
        return Lost(reason)
    except exceptions.RayError as error:
        raise RunError(
            f"Ray cannot go on ({first_line(error)}). What is finished is kept; the same command "
            "goes on."
        ) from None


def _given_up(piece: _Piece, what: str, lost: Lost) -> str:
    return (
        f"{what} {piece.name} was lost {piece.tries} times with its worker ({lost.reason}). "
        "What is finished is kept; the same command goes on."
    )
