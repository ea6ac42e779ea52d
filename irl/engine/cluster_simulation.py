"""A cluster played out, event by event: workers, a queue of shards, failures, and one driver.

The same cluster as in `irl.engine.cluster_plan`, without its approximations. Nodes fail after
exponential times, loading or not; their shards return to the front of the queue once the failure
is noticed; another node loads the policies anew. Results reach the driver at once; it takes them
one by one, writes, and then hands out the next shard. What becomes of every second of every worker
is kept. A shard is tried as often as it takes; the engine stops after three times.
"""

import heapq
from collections import deque
from dataclasses import dataclass, fields
from enum import Enum, auto

import numpy as np
from numpy.typing import NDArray

from irl.engine.cluster_plan import Cluster, Work, seconds_per_response


@dataclass
class Seconds:
    """Worker-seconds by what became of them."""

    useful: float = 0.0
    "computing in shards that were delivered, at full speed"
    slow: float = 0.0
    "what slow nodes took beyond"
    between: float = 0.0
    "idle around delivered shards"
    lost: float = 0.0
    "in shards that a failure took"
    down: float = 0.0
    "without a node"
    loading: float = 0.0
    waiting: float = 0.0
    "for the driver, or at the end for the others"

    @property
    def total(self) -> float:
        """All of them."""
        return float(sum(getattr(self, field.name) for field in fields(self)))


@dataclass(frozen=True)
class Course:
    """How one simulated job went."""

    wall_seconds: float
    seconds: Seconds
    failures: int
    deliveries: NDArray[np.int64]
    "of each shard"
    losses: NDArray[np.int64]
    "of each shard"


class _Event(Enum):
    FINISHED = auto()
    FAILED = auto()
    NOTICED = auto()
    REPLACED = auto()
    LOADED = auto()


class _State(Enum):
    BUSY = auto()
    PARKED = auto()
    LOADING = auto()
    DOWN = auto()


@dataclass
class _Worker:
    node: int
    slowdown: float
    state: _State = _State.LOADING
    since: float = 0.0
    shard: int = -1


def simulate(work: Work, cluster: Cluster, generator: np.random.Generator) -> Course:
    """Play a job out once.

    Shard times are lognormal and belong to the shard, so a repeated one takes as long again; their
    sum is that of the plan, exactly.
    """
    sizes = np.full(-(-work.responses // cluster.responses_per_shard), cluster.responses_per_shard)
    sizes[-1] -= sizes.sum() - work.responses
    sigma = np.sqrt(np.log1p(cluster.spread**2))
    drawn = sizes * np.exp(sigma * generator.standard_normal(len(sizes)))
    useful = drawn * (work.responses / drawn.sum() * seconds_per_response(work, cluster))
    writing = cluster.driver_seconds_per_shard + cluster.driver_seconds_per_response * sizes
    return _Run(cluster, useful.tolist(), writing.tolist(), generator).course()


class _Run:
    """The state of the cluster between events."""

    def __init__(
        self,
        cluster: Cluster,
        useful: list[float],
        writing: list[float],
        generator: np.random.Generator,
    ) -> None:
        self.cluster = cluster
        self.useful = useful
        self.writing = writing
        self.generator = generator
        self.queue = deque(range(len(useful)))
        self.left = len(useful)
        self.deliveries = np.zeros(len(useful), dtype=np.int64)
        self.losses = np.zeros(len(useful), dtype=np.int64)
        self.events: list[tuple[float, int, _Event, int, int]] = []
        self.pushed = 0
        self.lives = [0] * cluster.nodes
        self.lost_shards: list[list[int]] = [[] for _ in self.lives]
        self.workers = [_Worker(node, self._slowdown(node)) for node in self._nodes()]
        self.on_node = [
            [index for index, node in enumerate(self._nodes()) if node == which]
            for which in range(cluster.nodes)
        ]
        self.driver_free = 0.0
        self.seconds = Seconds()
        self.failures = 0

    def course(self) -> Course:
        """Play until the last shard is written."""
        for node in range(self.cluster.nodes):
            self._start_node(0.0, node)
        handlers = {
            _Event.FINISHED: self._finished,
            _Event.FAILED: self._failed,
            _Event.NOTICED: self._noticed,
            _Event.REPLACED: self._start_node,
            _Event.LOADED: self._loaded,
        }
        while self.left:
            now, _, event, index, life = heapq.heappop(self.events)
            node = self.workers[index].node if event is _Event.FINISHED else index
            if event is _Event.NOTICED or life == self.lives[node]:
                handlers[event](now, index)
        wall = self.driver_free
        for worker in self.workers:
            self._leave(worker, wall)
        return Course(wall, self.seconds, self.failures, self.deliveries, self.losses)

    def _nodes(self) -> list[int]:
        return [index // self.cluster.workers_per_node for index in range(self.cluster.workers)]

    def _slowdown(self, node: int) -> float:
        return self.cluster.slowdown if node < self.cluster.slow_nodes else 1.0

    def _push(self, at: float, event: _Event, index: int, node: int) -> None:
        self.pushed += 1
        heapq.heappush(self.events, (at, self.pushed, event, index, self.lives[node]))

    def _start_node(self, now: float, node: int) -> None:
        """The clock of failures runs from here, before anything is loaded."""
        for index in self.on_node[node]:
            self._enter(self.workers[index], _State.LOADING, now)
        self._push(now + self.cluster.load_seconds, _Event.LOADED, node, node)
        if np.isfinite(self.cluster.node_mtbf_seconds):
            lived = float(self.generator.exponential(self.cluster.node_mtbf_seconds))
            self._push(now + lived, _Event.FAILED, node, node)

    def _loaded(self, now: float, node: int) -> None:
        for index in self.on_node[node]:
            self._give(index, now, now)

    def _give(self, index: int, now: float, start: float) -> None:
        """The next shard, from `start` on; or a place to wait for one."""
        worker = self.workers[index]
        if not self.queue:
            self._enter(worker, _State.PARKED, now)
            return
        self._enter(worker, _State.BUSY, now)
        worker.since = start
        self.seconds.waiting += start - now
        worker.shard = self.queue.popleft()
        takes = self.useful[worker.shard] * worker.slowdown + self.cluster.idle_seconds
        self._push(start + takes, _Event.FINISHED, index, worker.node)

    def _finished(self, now: float, index: int) -> None:
        worker, cluster = self.workers[index], self.cluster
        self.deliveries[worker.shard] += 1
        self.left -= 1
        self.seconds.useful += self.useful[worker.shard]
        self.seconds.slow += self.useful[worker.shard] * (worker.slowdown - 1)
        self.seconds.between += cluster.idle_seconds
        worker.state, worker.since = _State.PARKED, now
        self.driver_free = max(now, self.driver_free) + self.writing[worker.shard]
        self._give(index, now, self.driver_free)

    def _failed(self, now: float, node: int) -> None:
        self.failures += 1
        self.lives[node] += 1
        for index in self.on_node[node]:
            worker = self.workers[index]
            if worker.state is _State.BUSY:
                self.losses[worker.shard] += 1
                self.lost_shards[node].append(worker.shard)
            self._enter(worker, _State.DOWN, now)
        self._push(now + self.cluster.notice_seconds, _Event.NOTICED, node, node)
        self._push(now + self.cluster.replace_seconds, _Event.REPLACED, node, node)

    def _noticed(self, now: float, node: int) -> None:
        self.queue.extendleft(self.lost_shards[node])
        self.lost_shards[node] = []
        for index, worker in enumerate(self.workers):
            if worker.state is _State.PARKED and self.queue:
                self._give(index, now, now)

    def _enter(self, worker: _Worker, state: _State, now: float) -> None:
        self._leave(worker, now)
        worker.state, worker.since = state, now

    def _leave(self, worker: _Worker, now: float) -> None:
        """Book the time since the worker's last change; a finished shard is booked by itself."""
        spent = now - worker.since
        if worker.state is _State.BUSY:
            if spent < 0:  # the driver had not yet handed the shard out
                self.seconds.waiting += spent
            else:
                self.seconds.lost += spent
        elif worker.state is _State.PARKED:
            self.seconds.waiting += spent
        elif worker.state is _State.LOADING:
            self.seconds.loading += spent
        else:
            self.seconds.down += spent
        worker.since = now
