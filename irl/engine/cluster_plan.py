"""The arithmetic of a cluster: hours, failures and shard size of a job that is scored in shards.

Symbols of the docstrings: W workers (actors, each with both policies) on nodes of g workers; t
seconds of computing in a shard, h idle seconds around it, d = t + h; M mean seconds between the
failures of one node, n until one is noticed, R until another stands in its place, L to load the
policies. All is pure arithmetic; `irl.engine.cluster_simulation` plays the same cluster out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from irl.engine.settings import MOST_TRIES
from irl.errors import InputError

HOUR = 3600.0
LLAMA_3_NODE_MTBF_SECONDS = 54 * 24 * HOUR * (16384 / 8) / 419
"419 unexpected interruptions in 54 days on 16,384 GPUs, 8 a node (Llama 3, arXiv:2407.21783)"


@dataclass(frozen=True)
class Work:
    """What is scored: 10^8 responses under two policies of 7B parameters, unless told otherwise."""

    responses: int = 100_000_000
    prompt_tokens: float = 100.0
    "mean; a prompt that responses of a shard share is read once, which is not counted on here"
    response_tokens: float = 200.0
    policies: int = 2
    parameters: float = 7e9
    layers: int = 32
    width: int = 4096

    @property
    def tokens(self) -> float:
        """Read by the policies, both together."""
        return self.responses * self.policies * (self.prompt_tokens + self.response_tokens)

    @property
    def flop_per_token(self) -> float:
        """2N: one multiplication and one addition for each parameter (Kaplan et al. 2020)."""
        return 2.0 * self.parameters

    @property
    def attention_share(self) -> float:
        """FLOP of causal attention over 2N, which the plan leaves out.

        A token sees T / 2 others on average; queries with keys and weights with values are 4 width
        FLOP for each of them in each layer: 2 layers width T in all.
        """
        length = self.prompt_tokens + self.response_tokens
        return 2.0 * self.layers * self.width * length / self.flop_per_token


@dataclass(frozen=True)
class Cluster:
    """What scores it. Assumptions, but for the driver's seconds (docs/results/driver.md)."""

    workers: int = 64
    gpus_per_worker: int = 1
    "layers spread over several GPUs take turns: more GPUs hold more, and are no faster"
    workers_per_node: int = 8
    flop_per_second: float = 4e14
    "sustained by a worker"
    responses_per_shard: int = 2048
    idle_seconds: float = 0.5
    "of a worker around each shard: sent, unpacked, started, returned"
    spread: float = 0.1
    "standard deviation of a shard's time over its mean"
    slow_share: float = 0.0
    "of the nodes"
    slowdown: float = 1.0
    "how many times longer a slow node takes"
    load_seconds: float = 120.0
    node_mtbf_seconds: float = LLAMA_3_NODE_MTBF_SECONDS
    notice_seconds: float = 60.0
    "until the shards of a dead node go back into the queue"
    replace_seconds: float = 600.0
    "until another node is there, from the failure on"
    driver_seconds_per_shard: float = 0.003
    driver_seconds_per_response: float = 7.5e-5

    def __post_init__(self) -> None:
        counts = "workers", "gpus_per_worker", "workers_per_node", "responses_per_shard", "slowdown"
        for name in counts:
            if not getattr(self, name) >= 1:
                raise InputError(f"{name} is {getattr(self, name)}; give 1 or more.")
        if not (self.flop_per_second > 0 and self.node_mtbf_seconds > 0):
            raise InputError("flop_per_second and node_mtbf_seconds must be greater than 0.")
        if not 0 <= self.notice_seconds <= self.replace_seconds:
            raise InputError(
                f"A dead node is noticed after {self.notice_seconds:g} s and replaced after "
                f"{self.replace_seconds:g} s; give a replacement that is not the earlier one."
            )

    @property
    def nodes(self) -> int:
        """As many as hold the workers."""
        return -(-self.workers // self.workers_per_node)

    @property
    def slow_nodes(self) -> int:
        """Those that take `slowdown` times as long, to a whole number."""
        return round(self.slow_share * self.nodes)

    @property
    def driver_seconds(self) -> float:
        """Of the one driver for a full shard: its key, its file, its line in the manifest."""
        return (
            self.driver_seconds_per_shard
            + self.driver_seconds_per_response * self.responses_per_shard
        )


@dataclass(frozen=True)
class Plan:
    """What the arithmetic expects. Hours of GPUs count all GPUs of a worker."""

    shards: int
    shard_seconds: float
    "computing in a full shard, on a node that is not slow"
    useful_gpu_hours: float
    wall_hours: float
    gpu_hours: float
    "held, from the first second to the last"
    failures: float
    gpu_hours_per_failure: float
    given_up: float
    "shards that are lost three times, after which the engine stops"
    tail_seconds: float
    "from the mean end of the workers to the end of all"
    driver_share: float
    "of the wall in which the driver is busy"
    best_responses_per_shard: float

    @property
    def overhead_share(self) -> float:
        """Of the GPU-hours held, what is not computing."""
        return 1.0 - self.useful_gpu_hours / self.gpu_hours


def plan(work: Work, cluster: Cluster) -> Plan:
    """The expected course of the job.

    wall = L + N / rate + tail + w: N shards at `shards_per_second`, the tail of the last ones
    (`tail_seconds`), w for the driver to write the last. Shards that all take equally long, on
    nodes equally fast, end in rounds instead: L + ceil(N / W) d + w and what failures cost.

    Raises:
        InputError: there are fewer shards than workers.
    """
    shards = -(-work.responses // cluster.responses_per_shard)
    if shards < cluster.workers:
        raise InputError(
            f"{shards:,} shards of {cluster.responses_per_shard:,} responses do not occupy "
            f"{cluster.workers:,} workers; make the shards smaller, or take fewer workers."
        )
    rate = shards_per_second(work, cluster)
    full_shards = work.responses / cluster.responses_per_shard
    tail = tail_seconds(work, cluster)
    if cluster.spread == 0 and cluster.slow_nodes == 0:
        rounds = -(-shards // cluster.workers)
        tail = rounds * cluster.workers / rate - full_shards / rate
    tail += _late_seconds(work, cluster)
    wall = cluster.load_seconds + full_shards / rate + tail + cluster.driver_seconds
    useful = work.responses * seconds_per_response(work, cluster)
    driver = (
        shards * cluster.driver_seconds_per_shard
        + work.responses * cluster.driver_seconds_per_response
    )
    return Plan(
        shards=shards,
        shard_seconds=cluster.responses_per_shard * seconds_per_response(work, cluster),
        useful_gpu_hours=useful * cluster.gpus_per_worker / HOUR,
        wall_hours=wall / HOUR,
        gpu_hours=wall * cluster.workers * cluster.gpus_per_worker / HOUR,
        failures=cluster.nodes * wall / (cluster.node_mtbf_seconds + cluster.replace_seconds),
        gpu_hours_per_failure=lost_seconds(work, cluster) * cluster.gpus_per_worker / HOUR,
        given_up=shards * _lost(cluster, max(d for _, d in _kinds(work, cluster))) ** MOST_TRIES,
        tail_seconds=tail,
        driver_share=driver / wall,
        best_responses_per_shard=best_responses_per_shard(work, cluster),
    )


def seconds_per_response(work: Work, cluster: Cluster) -> float:
    """Seconds in which a worker that is not slow computes one response under all policies."""
    tokens = work.policies * (work.prompt_tokens + work.response_tokens)
    return tokens * work.flop_per_token / cluster.flop_per_second


def shards_per_second(work: Work, cluster: Cluster) -> float:
    """The pace of all workers together, while there is work for all.

    A worker needs, per shard that it delivers,

        c = (M + R) e^(L / M) (e^(d / M) - 1 + (spread d / M)^2 / 2) seconds.

    A shard of d seconds that starts anew after each failure, on a worker that is back after R
    seconds and a loading that can fail itself, takes (M + R) e^(L / M) (e^(d / M) - 1) on average
    (Daly 2006, with a shard for what lies between his checkpoints; Young 1974 is its first order).
    Unlike theirs, M is of one node, however many there are: the others go on. The last summand is
    the spread of d to second order. To first order c = d (1 + (R + L + d (1 + spread^2) / 2) / M).

    One driver that needs w seconds a shard, and hands a worker its next one after it has written
    the last, is a queue. With rho its share of busy time, a result waits w rho / (2 (1 - rho))
    before it is written (M/D/1, Pollaczek and Khinchin), and W workers come round at

        rho = 2 W / (a + W + sqrt((a - W)^2 + 2 W)),    a = 1 + W / (w sum 1/c),

    which solves rho (a + rho / (2 (1 - rho))) = W. The rate is rho / w.
    """
    rate = sum(count / _seconds_per_delivery(cluster, d) for count, d in _kinds(work, cluster))
    written = cluster.driver_seconds
    if written == 0:
        return rate
    w, a = cluster.workers, 1 + cluster.workers / (rate * written)
    return 2 * w / (a + w + math.sqrt((a - w) ** 2 + 2 * w)) / written


def lost_seconds(work: Work, cluster: Cluster) -> float:
    """Expected worker-seconds that the failure of one node costs.

    Of each of its workers the shard at hand, on average d (1 + spread^2) / 2 old (a failure hits
    long shards more often), R without a node and L to load again.
    """
    rate, aged = 0.0, 0.0
    for count, d in _kinds(work, cluster):
        rate += count
        aged += count * d * (1 + cluster.spread**2) / 2
    per_worker = aged / rate + cluster.replace_seconds + cluster.load_seconds
    return per_worker * cluster.workers / cluster.nodes


def tail_seconds(work: Work, cluster: Cluster) -> float:
    """Expected seconds from the mean end of the workers to the end of the last one.

    When the queue is empty each worker is somewhere in a shard. What is left of it has the density
    (1 - F(x)) / d, F the lognormal distribution of shard times; the tail is the mean of the
    greatest of W of these less their mean, which is d (1 + spread^2) / 2. Of equal shards it is
    d (W / (W + 1) - 1/2), about half a shard.
    """
    kinds = _kinds(work, cluster)
    sigma = math.sqrt(math.log1p(cluster.spread**2))
    longest = max(d for _, d in kinds) * math.exp(8 * sigma)
    x = np.linspace(0.0, longest, 4_001)
    below = np.ones_like(x)
    for count, d in kinds:
        below *= _left_below(x, d, sigma) ** count
    greatest = float(np.trapezoid(1 - below, x))
    paces = [count / d for count, d in kinds]
    mean = cluster.workers * (1 + cluster.spread**2) / 2 / sum(paces)
    return greatest - mean


def best_responses_per_shard(work: Work, cluster: Cluster) -> float:
    """The shard size that costs least, by balancing what falls with it against what grows.

    With T = all computing over W, seconds of wall, and shards of t seconds, a wall has
    T h / t idle around shards, k t of tail (k = tail / d, about 1/2) and T t (1 + spread^2) / 2M
    lost to failures. The sum is least at

        t = sqrt(T h / (k + T (1 + spread^2) / (2 M))).

    Without a tail that is Young's sqrt(2 h M), with h for the time of a checkpoint. It is not what
    rules here: T is far less than M, and t = sqrt(2 T h). No worker can have less than a shard.
    """
    per_response = seconds_per_response(work, cluster)
    pace = sum(count / d for count, d in _kinds(work, cluster))
    shard = cluster.responses_per_shard * per_response + cluster.idle_seconds
    wall = work.responses / cluster.responses_per_shard / pace
    tail = tail_seconds(work, cluster) / shard
    lost = wall * (1 + cluster.spread**2) / (2 * cluster.node_mtbf_seconds)
    most = work.responses / cluster.workers
    if tail + lost == 0:
        return most
    around = cluster.idle_seconds + cluster.driver_seconds_per_shard
    return min(math.sqrt(wall * around / (tail + lost)) / per_response, most)


def _kinds(work: Work, cluster: Cluster) -> Sequence[tuple[int, float]]:
    """Workers on slow nodes and on others: how many, and d."""
    slow = min(cluster.slow_nodes * cluster.workers_per_node, cluster.workers)
    computing = cluster.responses_per_shard * seconds_per_response(work, cluster)
    found = (
        (cluster.workers - slow, computing + cluster.idle_seconds),
        (slow, computing * cluster.slowdown + cluster.idle_seconds),
    )
    return [(count, d) for count, d in found if count]


def _seconds_per_delivery(cluster: Cluster, d: float) -> float:
    mtbf = cluster.node_mtbf_seconds
    if math.isinf(mtbf):
        return d
    ages = math.expm1(d / mtbf) + (cluster.spread * d / mtbf) ** 2 / 2
    return (mtbf + cluster.replace_seconds) * math.exp(cluster.load_seconds / mtbf) * ages


def _left_below(x: NDArray[np.float64], mean: float, sigma: float) -> NDArray[np.float64]:
    """P(what is left of the shard at hand <= x): the integral of (1 - F) / mean up to x."""
    if sigma == 0:
        return np.minimum(x / mean, 1.0)
    with np.errstate(divide="ignore"):
        z = (np.log(x) - math.log(mean)) / sigma
    return np.asarray(x / mean * ndtr(-z - sigma / 2) + ndtr(z - sigma / 2))


def _lost(cluster: Cluster, d: float) -> float:
    """P(the node of a shard fails before it is done) = 1 - e^(-d / M)."""
    return -math.expm1(-d / cluster.node_mtbf_seconds)


def _late_seconds(work: Work, cluster: Cluster) -> float:
    """By how much failures near the end put it off, on average.

    A failure in the last d + n seconds sends a shard back that ends up to d + n after the others:
    half of that on average, with probability 1 - exp(-nodes (d + n) / M).
    """
    window = max(d for _, d in _kinds(work, cluster)) + cluster.notice_seconds
    hit = -math.expm1(-cluster.nodes * window / cluster.node_mtbf_seconds)
    return hit * window / 2
