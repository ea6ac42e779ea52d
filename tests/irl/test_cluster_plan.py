"""The arithmetic of a cluster: known totals, closed forms at their limits, and the best shard."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import lognorm

from irl.engine.cluster_plan import (
    HOUR,
    Cluster,
    Work,
    best_responses_per_shard,
    lost_seconds,
    plan,
    seconds_per_response,
    shards_per_second,
    tail_seconds,
)
from irl.engine.cluster_sizes import sizes
from irl.errors import InputError

WORK = Work()
FREE = Cluster(driver_seconds_per_shard=0.0, driver_seconds_per_response=0.0)
NEVER = math.inf


def test_the_job_of_the_page_is_8e20_flop_and_583_gpu_hours():
    planned = plan(WORK, Cluster())
    assert WORK.tokens == pytest.approx(6e10)
    assert WORK.tokens * WORK.flop_per_token == pytest.approx(8.4e20)
    assert planned.useful_gpu_hours == pytest.approx(8.4e20 / 4e14 / 3600)
    assert planned.shards == 48_829
    assert planned.wall_hours * 64 == pytest.approx(planned.gpu_hours)
    assert 0 < planned.overhead_share < 0.02


def test_attention_counts_every_earlier_token_once():
    """Against the sum over positions of 4 width FLOP, per layer and token seen."""
    length = int(WORK.prompt_tokens + WORK.response_tokens)
    seen = sum(range(length)) / length
    by_hand = 4 * WORK.layers * WORK.width * seen / (2 * WORK.parameters)
    assert WORK.attention_share == pytest.approx(by_hand, rel=0.01)
    assert WORK.attention_share < 0.01, "negligible, as the page says"


def test_bytes_are_those_of_every_value_and_double_with_the_responses():
    size = sizes(WORK, Cluster())
    values = 1e8 * 200 * 2
    assert size.received == pytest.approx(4 * values, rel=0.01)
    assert size.received_per_second == pytest.approx(
        size.received / plan(WORK, Cluster()).wall_hours / 3600
    )
    assert (size.actor_bfloat16, size.actor_float32) == (28e9, 56e9)
    assert size.loaded == 64 * 28e9
    twice = sizes(replace(WORK, responses=2 * WORK.responses), Cluster())
    for name in ("sent", "received", "token_files", "sum_files", "driver_list"):
        assert getattr(twice, name) == pytest.approx(2 * getattr(size, name))


def test_equal_shards_without_failures_end_in_rounds():
    work = replace(WORK, responses=1000 * 100)
    cluster = replace(
        FREE, workers=64, responses_per_shard=100, spread=0.0, node_mtbf_seconds=NEVER
    )
    takes = 100 * seconds_per_response(work, cluster) + cluster.idle_seconds
    wall = cluster.load_seconds + math.ceil(1000 / 64) * takes
    assert plan(work, cluster).wall_hours * HOUR == pytest.approx(wall, rel=1e-12)


def test_the_pace_tends_to_that_without_failures_and_its_first_order_is_the_loss_per_failure():
    ideal = shards_per_second(WORK, replace(FREE, node_mtbf_seconds=NEVER))
    for mtbf in (1e8, 1e9):
        cluster = replace(FREE, node_mtbf_seconds=mtbf)
        pace = shards_per_second(WORK, cluster)
        lost = lost_seconds(WORK, cluster) / cluster.workers_per_node / mtbf
        assert ideal / pace - 1 == pytest.approx(lost, rel=1e-4)


def test_failures_that_come_sooner_slow_the_cluster_down():
    paces = [
        shards_per_second(WORK, replace(FREE, node_mtbf_seconds=mtbf))
        for mtbf in (NEVER, 1e7, 1e6, 1e5, 1e4, 1e3)
    ]
    assert paces == sorted(paces, reverse=True)


@pytest.mark.parametrize("workers", [8, 64, 512])
def test_the_tail_of_equal_shards_is_that_of_uniform_rests(workers: int):
    cluster = replace(FREE, workers=workers, spread=0.0)
    takes = 2048 * seconds_per_response(WORK, cluster) + cluster.idle_seconds
    expected = takes * (workers / (workers + 1) - 0.5)
    assert tail_seconds(WORK, cluster) == pytest.approx(expected, rel=1e-3)


def test_the_tail_of_unequal_shards_is_the_greatest_rest_in_a_draw():
    """A rest is a uniform share of a shard that is drawn by its length."""
    cluster = replace(FREE, workers=64, spread=0.5)
    takes = 2048 * seconds_per_response(WORK, cluster) + cluster.idle_seconds
    generator = np.random.default_rng(0)
    sigma = math.sqrt(math.log1p(0.5**2))
    scale = takes * math.exp(sigma**2 / 2)  # drawn by length: the log mean moves by sigma squared
    drawn = lognorm.rvs(sigma, scale=scale, size=(5_000, 64), random_state=generator)
    rests = drawn * generator.random(drawn.shape)
    tails = rests.max(1) - rests.mean(1)
    error = tails.std() / math.sqrt(len(tails))
    assert abs(tail_seconds(WORK, cluster) - tails.mean()) < 4 * error


def test_a_driver_bounds_the_pace_and_a_fast_one_does_not_count():
    bound = replace(Cluster(), workers=4096)
    pace = shards_per_second(WORK, bound)
    assert 0.95 / bound.driver_seconds < pace < 1 / bound.driver_seconds
    quick = replace(FREE, driver_seconds_per_shard=1e-6)
    assert shards_per_second(WORK, quick) == pytest.approx(shards_per_second(WORK, FREE), rel=1e-7)


def test_time_has_no_unit():
    factor = 7.0
    slower = replace(
        Cluster(),
        flop_per_second=Cluster().flop_per_second / factor,
        **{
            name: getattr(Cluster(), name) * factor
            for name in (
                "idle_seconds",
                "load_seconds",
                "node_mtbf_seconds",
                "notice_seconds",
                "replace_seconds",
                "driver_seconds_per_shard",
                "driver_seconds_per_response",
            )
        },
    )
    a, b = plan(WORK, Cluster()), plan(WORK, slower)
    assert b.wall_hours == pytest.approx(factor * a.wall_hours)
    assert b.overhead_share == pytest.approx(a.overhead_share)
    assert b.failures == pytest.approx(a.failures)
    assert b.best_responses_per_shard == pytest.approx(a.best_responses_per_shard)


@pytest.mark.parametrize("workers", [8, 64, 512])
@pytest.mark.parametrize("mtbf", [NEVER, 100 * HOUR, 6 * HOUR])
def test_no_other_shard_is_much_better_than_the_best_one(workers: int, mtbf: float):
    cluster = replace(FREE, workers=workers, node_mtbf_seconds=mtbf)
    best = best_responses_per_shard(WORK, cluster)
    walls = {
        size: plan(WORK, replace(cluster, responses_per_shard=size)).wall_hours
        for size in np.geomspace(200, 100_000, 25).astype(int).tolist()
    }
    chosen = plan(WORK, replace(cluster, responses_per_shard=round(best))).wall_hours
    assert chosen < 1.002 * min(walls.values())


def test_without_a_tail_the_best_shard_is_youngs_checkpoint():
    """A job that is long beside the time between failures: sqrt(2 h M)."""
    cluster = replace(FREE, node_mtbf_seconds=100 * HOUR, spread=0.0)
    best = best_responses_per_shard(replace(WORK, responses=10**13), cluster)
    seconds = best * seconds_per_response(WORK, cluster)
    assert seconds == pytest.approx(math.sqrt(2 * cluster.idle_seconds * 100 * HOUR), rel=0.01)


def test_one_worker_that_never_fails_is_best_off_with_one_shard():
    alone = replace(FREE, workers=1, spread=0.0, node_mtbf_seconds=NEVER)
    assert best_responses_per_shard(WORK, alone) == WORK.responses


def test_what_cannot_be_planned_is_refused_with_what_to_do():
    with pytest.raises(InputError, match="make the shards smaller"):
        plan(WORK, Cluster(workers=64, responses_per_shard=10**7))
    with pytest.raises(InputError, match="workers is 0; give 1 or more"):
        Cluster(workers=0)
    with pytest.raises(InputError, match="replaced after 600 s"):
        Cluster(notice_seconds=601.0)
    with pytest.raises(InputError, match="greater than 0"):
        Cluster(node_mtbf_seconds=0.0)
