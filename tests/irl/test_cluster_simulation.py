"""A simulated cluster: exact where it can be worked out, and the judge of the arithmetic."""

import math
from dataclasses import replace

import numpy as np
import pytest

from irl.engine.cluster_plan import (
    HOUR,
    Cluster,
    Work,
    lost_seconds,
    plan,
    seconds_per_response,
)
from irl.engine.cluster_simulation import Course, simulate

pytestmark = pytest.mark.slow

NEVER = math.inf
WORK = Work(responses=1000 * 2048)
"1,000 shards"
CALM = Cluster(
    workers=16,
    spread=0.0,
    node_mtbf_seconds=NEVER,
    driver_seconds_per_shard=0.0,
    driver_seconds_per_response=0.0,
)
TAKES = 2048 * seconds_per_response(WORK, CALM) + CALM.idle_seconds


def play(cluster: Cluster, seed: int = 0, work: Work = WORK) -> Course:
    return simulate(work, cluster, np.random.default_rng(seed))


@pytest.mark.parametrize("workers", [1, 3, 16, 1000])
def test_equal_shards_without_failures_end_in_rounds(workers: int):
    found = play(replace(CALM, workers=workers))
    wall = CALM.load_seconds + math.ceil(1000 / workers) * TAKES
    assert found.wall_seconds == pytest.approx(wall, rel=1e-12)
    planned = plan(WORK, replace(CALM, workers=workers))
    assert planned.wall_hours * HOUR == pytest.approx(wall, rel=1e-12)


def test_one_worker_waits_for_every_file():
    found = play(replace(CALM, workers=1, driver_seconds_per_shard=5.0))
    assert found.wall_seconds == pytest.approx(CALM.load_seconds + 1000 * (TAKES + 5.0))
    assert found.seconds.waiting == pytest.approx(5_000.0)


def test_a_driver_that_is_slower_than_the_workers_sets_the_pace():
    found = play(replace(CALM, driver_seconds_per_shard=50.0))
    assert found.wall_seconds == pytest.approx(CALM.load_seconds + TAKES + 1000 * 50.0)


HARD = replace(
    CALM,
    workers=60,
    spread=0.5,
    slow_share=0.2,
    slowdown=1.7,
    node_mtbf_seconds=0.5 * HOUR,
    driver_seconds_per_shard=0.3,
)


@pytest.mark.parametrize("seed", range(3))
def test_every_shard_is_delivered_once_and_every_second_is_booked(seed: int):
    found = play(HARD, seed)
    assert found.failures > 0
    assert found.losses.sum() > 0
    assert set(found.deliveries.tolist()) == {1}
    assert found.seconds.total == pytest.approx(60 * found.wall_seconds, rel=1e-12)
    assert min(vars(found.seconds).values()) >= 0


@pytest.mark.parametrize("cluster", [CALM, HARD, replace(HARD, responses_per_shard=777)])
def test_what_is_computed_usefully_is_the_plans_hours_exactly(cluster: Cluster):
    useful = plan(WORK, cluster).useful_gpu_hours
    assert play(cluster).seconds.useful / HOUR == pytest.approx(useful, rel=1e-12)


def test_time_has_no_unit():
    names = [name for name in vars(HARD) if "seconds" in name]
    slower = replace(
        HARD,
        flop_per_second=HARD.flop_per_second / 8,
        **{name: getattr(HARD, name) * 8 for name in names},
    )
    quick, slow = play(HARD, 3), play(slower, 3)
    assert slow.wall_seconds == pytest.approx(8 * quick.wall_seconds, rel=1e-9)
    assert slow.failures == quick.failures


def test_the_same_seed_plays_the_same_course():
    assert play(HARD, 1).seconds == play(HARD, 1).seconds
    assert play(HARD, 1).wall_seconds != play(HARD, 2).wall_seconds


def test_more_failures_never_help_on_average():
    work, cluster = replace(WORK, responses=300 * 2048), replace(HARD, workers=16)
    walls = [
        np.mean(
            [play(replace(cluster, node_mtbf_seconds=m), s, work).wall_seconds for s in range(6)]
        )
        for m in (NEVER, 2 * HOUR, 0.5 * HOUR, 0.2 * HOUR)
    ]
    assert walls == sorted(walls)


@pytest.mark.parametrize(
    ("shards", "runs"), [(1_500, 6), pytest.param(10_000, 20, marks=pytest.mark.slow_extra)]
)
@pytest.mark.parametrize("spread", [0.0, 0.5])
def test_a_failure_costs_half_a_shard_a_replacement_and_a_loading_of_each_worker(
    spread: float, shards: int, runs: int
):
    """By Monte Carlo, within its own error; jobs are long, so that few failures meet their end."""
    work = replace(WORK, responses=shards * 2048)
    cluster = replace(CALM, spread=spread, node_mtbf_seconds=HOUR)
    lost, ages = [], []
    for seed in range(runs):
        found = play(cluster, seed, work)
        seconds = found.seconds
        spent = seconds.lost + seconds.down + seconds.loading - 16 * cluster.load_seconds
        lost.append(spent / max(found.failures, 1))
        ages.append(seconds.lost / max(found.losses.sum(), 1))
    # a node that fails while it loads holds no shard: that much the plan counts too much
    busy = math.exp(-cluster.load_seconds / cluster.node_mtbf_seconds)
    loading = cluster.node_mtbf_seconds * (1 - busy)
    age = TAKES * (1 + spread**2) / 2
    each = busy * age + cluster.replace_seconds + loading
    for drawn, expected in ((ages, age), (lost, 8 * each)):
        error = np.std(drawn, ddof=1) / math.sqrt(len(drawn))
        assert abs(np.mean(drawn) - expected) < 4 * error
    assert 8 * each == pytest.approx(lost_seconds(work, cluster), rel=0.01)


def test_a_slow_node_takes_fewer_shards_and_its_extra_time_is_booked_apart():
    slow = replace(CALM, slow_share=0.5, slowdown=3.0, idle_seconds=0.0)
    found = play(slow)
    # of two nodes the slow one delivers a quarter, each with twice its time on top
    assert found.seconds.slow / found.seconds.useful == pytest.approx(0.25 * 2, rel=0.02)


@pytest.mark.parametrize("size", [2048, 32_768])
@pytest.mark.parametrize("mtbf", [6335 * HOUR, 100 * HOUR, 6 * HOUR])
@pytest.mark.parametrize(
    ("workers", "runs"), [(8, 6), (64, 3), pytest.param(512, 8, marks=pytest.mark.slow_extra)]
)
def test_the_arithmetic_is_right_where_every_worker_has_thirty_shards(
    workers: int, runs: int, mtbf: float, size: int
):
    """Wall and overhead within 1 %, beside four errors of the simulation's mean.

    The error is that of a Poisson count of failures; a few runs may all have the same count.
    """
    cluster = Cluster(
        workers=workers,
        node_mtbf_seconds=mtbf,
        responses_per_shard=size,
        driver_seconds_per_response=1e-6,
    )
    work = Work(responses=30 * workers * size)
    found = [play(cluster, seed, work) for seed in range(runs)]
    planned = plan(work, cluster)
    error = math.sqrt(planned.failures / runs) * planned.gpu_hours_per_failure / planned.gpu_hours
    wall = np.mean([course.wall_seconds for course in found]) / HOUR
    idle = np.mean([1 - course.seconds.useful / course.seconds.total for course in found])
    assert wall == pytest.approx(planned.wall_hours, rel=0.01 + 4 * error)
    assert idle == pytest.approx(planned.overhead_share, abs=0.01 + 4 * error)


def test_the_arithmetic_is_off_where_a_worker_has_two_shards_and_nodes_fail():
    cluster = Cluster(
        workers=512,
        node_mtbf_seconds=6 * HOUR,
        responses_per_shard=131_072,
        driver_seconds_per_response=0.0,
        driver_seconds_per_shard=0.0,
    )
    walls = [play(cluster, seed, Work()).wall_seconds / HOUR for seed in range(4)]
    assert plan(Work(), cluster).wall_hours < 0.95 * np.mean(walls)


def test_shards_that_are_lost_three_times_are_as_many_as_planned():
    """Shards as long as a third of what a node lives; those at the end of the job included."""
    cluster = replace(CALM, workers=64, node_mtbf_seconds=3 * TAKES, workers_per_node=1)
    expected = plan(WORK, cluster).given_up
    counts = [int((play(cluster, seed).losses >= 3).sum()) for seed in range(3)]
    assert expected == pytest.approx(1000 * (1 - math.exp(-1 / 3)) ** 3)
    assert sum(counts) == pytest.approx(3 * expected, abs=4 * math.sqrt(3 * expected))
