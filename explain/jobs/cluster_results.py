"""Rows about a cluster: the arithmetic of 10^8 responses, and the same played out with failures.

No cluster of this size was run. Each case stands twice, as `irl.engine.cluster_plan` expects it and
as the mean of `irl.engine.cluster_simulation` over draws; their ratio says where the arithmetic
may be used.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import product
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from explain.jobs.result_rows import Making, Measured, counted
from irl.bootstrap import from_sums, ratio
from irl.engine.cluster_plan import HOUR, Cluster, Plan, Work, plan
from irl.engine.cluster_simulation import Course, simulate
from irl.engine.cluster_sizes import sizes
from irl.engine.settings import MOST_TRIES
from irl.errors import InputError
from irl.records import Estimate, ResultRow

ARITHMETIC, SIMULATION, RATIO = "arithmetic", "simulation", "arithmetic / simulation"
WALL, OVERHEAD, FAILURES = "wall", "GPU time that is not computing", "failed nodes"
LOST = "cost of a failed node"
GIVEN_UP = "shards lost three times"
MANY = 10
"failed nodes in a run, from which on their cost is worth a row"
_CLUSTER = TypeAdapter(Cluster)


class ClusterRecipe(BaseModel):
    """What is planned and played out; the work is 10^8 responses under two 7B policies."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["cluster"]
    seed: int
    draws: int
    "of the shards and failures of each case"
    workers: tuple[int, ...]
    mtbf_hours: tuple[float, ...]
    "of one node"
    responses_per_shard: tuple[int, ...]
    others: dict[str, dict[str, float | int]] = {}
    "single settings of a cluster, by the name of the case"


def cluster_rows(recipe: ClusterRecipe, making: Making) -> list[ResultRow]:
    """The plan of the whole job, then arithmetic beside simulation for every cluster."""
    work = Work()
    rows = list(_job_rows(work, Cluster()))
    for case, cluster in cases(recipe):
        making.say(case)
        generators = np.random.default_rng(recipe.seed).spawn(recipe.draws)
        courses = [simulate(work, cluster, generator) for generator in generators]
        planned = plan(work, cluster)
        rows += _compared(case, recipe.seed, planned, courses)
        if planned.failures > MANY:
            rows += _costs(case, recipe.seed, planned, cluster, courses)
    return rows


def cases(recipe: ClusterRecipe) -> Iterator[tuple[str, Cluster]]:
    """Every cluster of the recipe.

    Raises:
        InputError: there is no such setting, or it cannot have this value.
    """
    for workers, mtbf, size in product(
        recipe.workers, recipe.mtbf_hours, recipe.responses_per_shard
    ):
        name = f"{workers} GPUs, a node fails every {mtbf:,g} h, shards of {size:,}"
        yield (
            name,
            Cluster(workers=workers, node_mtbf_seconds=mtbf * HOUR, responses_per_shard=size),
        )
    for name, settings in recipe.others.items():
        yield name, _cluster(settings)


def _cluster(settings: Mapping[str, float | int]) -> Cluster:
    known = {field.name for field in fields(Cluster)}
    unknown = sorted(set(settings) - known)
    if unknown:
        raise InputError(
            f"A cluster has no {', '.join(unknown)}; it has {', '.join(sorted(known))}."
        )
    try:
        return _CLUSTER.validate_python(settings)
    except ValidationError as error:
        raise InputError(f"A cluster cannot have these settings ({error}).") from None


def _job_rows(work: Work, cluster: Cluster) -> Iterator[ResultRow]:
    of = Measured(f"the job: {cluster.workers} GPUs, shards of {cluster.responses_per_shard:,}", [])
    planned, size = plan(work, cluster), sizes(work, cluster)
    for metric, unit, value in (
        ("tokens read", "10^9", work.tokens / 1e9),
        ("FLOP without attention", "10^18", work.tokens * work.flop_per_token / 1e18),
        ("FLOP of attention over these", "share", work.attention_share),
        ("computing", "GPU-hours", planned.useful_gpu_hours),
        ("held", "GPU-hours", planned.gpu_hours),
        (WALL, "hours", planned.wall_hours),
        ("shards", "", float(planned.shards)),
        ("computing in a shard", "seconds", planned.shard_seconds),
        ("tail of the last shards", "seconds", planned.tail_seconds),
        ("best size of a shard", "responses", planned.best_responses_per_shard),
        ("driver busy", "share", planned.driver_share),
        (FAILURES, "", planned.failures),
        (LOST, "GPU-hours", planned.gpu_hours_per_failure),
        (GIVEN_UP, "", planned.given_up),
        ("ids sent to the actors", "GB", size.sent / 1e9),
        ("nats received by the driver", "GB", size.received / 1e9),
        ("nats received by the driver", "MB a second", size.received_per_second / 1e6),
        ("files of nats per token", "GB", size.token_files / 1e9),
        ("files of sums alone", "GB", size.sum_files / 1e9),
        ("ids as lists in the driver", "GB", size.driver_list / 1e9),
        ("checkpoints read at the start", "GB", size.loaded / 1e9),
        ("checkpoints read after a failure", "GB", size.loaded_per_failure / 1e9),
        ("weights in an actor, bfloat16", "GB", size.actor_bfloat16 / 1e9),
        ("weights in an actor, float32", "GB", size.actor_float32 / 1e9),
    ):
        said = metric if not unit else f"{metric} ({unit})"
        yield of.row(ARITHMETIC, said, unit, counted(value, 1))


def _compared(
    case: str, seed: int, planned: Plan, courses: Sequence[Course]
) -> Iterator[ResultRow]:
    said, drawn = Measured(case, []), Measured(case, [seed])
    walls = np.array([course.wall_seconds / HOUR for course in courses])
    idle = [1 - course.seconds.useful / course.seconds.total for course in courses]
    failed = np.array([float(course.failures) for course in courses])
    yield said.row(ARITHMETIC, f"{WALL} (hours)", "hours", counted(planned.wall_hours, 1))
    yield drawn.row(SIMULATION, f"{WALL} (hours)", "hours", _mean(walls))
    yield drawn.row(RATIO, WALL, "times", _over(np.full(len(walls), planned.wall_hours), walls))
    yield said.row(ARITHMETIC, OVERHEAD, "share", counted(planned.overhead_share, 1))
    yield drawn.row(SIMULATION, OVERHEAD, "share", _mean(idle))
    if failed.sum():
        yield said.row(ARITHMETIC, FAILURES, "", counted(planned.failures, 1))
        yield drawn.row(SIMULATION, FAILURES, "", _mean(failed))


def _costs(
    case: str, seed: int, planned: Plan, cluster: Cluster, courses: Sequence[Course]
) -> Iterator[ResultRow]:
    """Of a failed node; what the end of the job cuts short is missing in the simulation."""
    metric = f"{LOST} (GPU-hours)"
    start = cluster.workers * cluster.load_seconds
    spent = [
        (course.seconds.lost + course.seconds.down + course.seconds.loading - start) / HOUR
        for course in courses
    ]
    failures = np.array([float(course.failures) for course in courses])
    expected = counted(planned.gpu_hours_per_failure, 1)
    yield Measured(case, []).row(ARITHMETIC, metric, "GPU-hours", expected)
    found = _over(np.array(spent), failures)
    yield Measured(case, [seed]).row(SIMULATION, metric, "GPU-hours", found)
    yield Measured(case, []).row(ARITHMETIC, GIVEN_UP, "", counted(planned.given_up, 1))
    lost = [float((course.losses >= MOST_TRIES).sum()) for course in courses]
    yield Measured(case, [seed]).row(SIMULATION, GIVEN_UP, "", _mean(lost))


def _mean(values: Sequence[float] | NDArray[np.float64]) -> Estimate | None:
    """Over draws, each a cluster of its own."""
    return _over(np.asarray(values, dtype=np.float64), np.ones(len(values)))


def _over(above: NDArray[np.float64], below: NDArray[np.float64]) -> Estimate | None:
    return from_sums(np.stack([above, below], axis=1), np.arange(len(above)), ratio)
