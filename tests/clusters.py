"""A Ray cluster of two nodes on this machine, for tests that are run by hand."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from irl.engine.on_ray import OnRay
from irl.engine.ray_cluster import engine_of
from irl.engine.settings import EngineSettings

_MEMORY = 100 * 2**20
"Of each node's object store"
_NOTICING = {
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 500,
    "health_check_failure_threshold": 4,
}
"A lost node is noticed within seconds"


@contextmanager
def two_nodes() -> Iterator[Any]:
    """A head and one more node, a CPU each."""
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": _MEMORY}
    made = Cluster(initialize_head=True, head_node_args={**head, "_system_config": _NOTICING})
    try:
        made.add_node(num_cpus=1, object_store_memory=_MEMORY)
        yield made
    finally:
        made.shutdown()


@contextmanager
def engine_on(cluster: Any) -> Iterator[OnRay]:
    """The engine there, one thread a worker, as here."""
    torch.set_num_threads(1)
    with engine_of(EngineSettings(engine="ray", address=cluster.address)) as made:
        assert isinstance(made, OnRay)
        yield made
