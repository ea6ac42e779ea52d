"""What workers take of a cluster, and which nodes may have them."""

from dataclasses import dataclass

from irl.engine.ray_worker import Started
from irl.errors import InputError, RunError
from irl.runs import versions


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

    def __str__(self) -> str:
        return f"a worker takes CPU {self.cpus:g}, GPU {self.gpus:g}"


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
            f"No node of the Ray cluster has room for a worker ({room}; the most that one "
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
