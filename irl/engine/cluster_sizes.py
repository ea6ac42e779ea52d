"""The bytes of a job on a cluster: what crosses the network, is kept, and must fit in memory."""

from dataclasses import dataclass

from irl.engine.cluster_plan import HOUR, Cluster, Work, plan

# Measured by `python -m tests.benchmarks.driver` (docs/results/driver.md).
SENT_BYTES_PER_TOKEN = 3.06
"an id on its way to an actor"
LISTED_BYTES_PER_TOKEN = 40.3
"an id in the memory of the driver, as a Python integer in a tuple"
FILE_BYTES_PER_VALUE = 5.19
"nats of one token under one policy, float32 in a shard's file"
FILE_BYTES_PER_SUM = 8.75
"nats of one response under one policy, float64 in a shard's file"
_VALUE_BYTES, _OFFSET_BYTES = 4.0, 4.0
_WEIGHT_BYTES = {"bfloat16": 2.0, "float32": 4.0}


@dataclass(frozen=True)
class Sizes:
    """Bytes, all responses together unless a name says otherwise."""

    sent: float
    "token ids, from the driver to the actors"
    received: float
    "nats of every response token under every policy, from the actors to the driver"
    received_per_second: float
    token_files: float
    "the same, written"
    sum_files: float
    "if only the sums of each response were kept"
    driver_list: float
    "all token ids in the memory of the driver, if it held them at once"
    loaded: float
    "checkpoints read by all actors at the start, in bfloat16"
    loaded_per_failure: float
    actor_bfloat16: float
    "weights of all policies in one actor; activations come on top"
    actor_float32: float


def sizes(work: Work, cluster: Cluster) -> Sizes:
    """The bytes of a job.

    Raises:
        InputError: there are fewer shards than workers.
    """
    ids = work.responses * (work.prompt_tokens + work.response_tokens)
    values = work.responses * work.response_tokens * work.policies
    lists = work.responses * work.policies
    received = values * _VALUE_BYTES + lists * _OFFSET_BYTES
    half, full = (work.policies * work.parameters * size for size in _WEIGHT_BYTES.values())
    return Sizes(
        sent=ids * SENT_BYTES_PER_TOKEN,
        received=received,
        received_per_second=received / (plan(work, cluster).wall_hours * HOUR),
        token_files=values * FILE_BYTES_PER_VALUE,
        sum_files=lists * FILE_BYTES_PER_SUM,
        driver_list=ids * LISTED_BYTES_PER_TOKEN,
        loaded=cluster.workers * half,
        loaded_per_failure=cluster.workers / cluster.nodes * half,
        actor_bfloat16=half,
        actor_float32=full,
    )
