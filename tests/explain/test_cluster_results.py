"""The table of a cluster: what stands in it agrees with the page, and recipes are checked."""

import json
from pathlib import Path

import pytest

from explain.jobs.cluster_results import (
    ARITHMETIC,
    FAILURES,
    LOST,
    OVERHEAD,
    RATIO,
    SIMULATION,
    WALL,
    ClusterRecipe,
    cases,
    cluster_rows,
)
from explain.jobs.result_rows import Making
from explain.jobs.results import read_recipe
from irl.engine.cluster_plan import Cluster, Work, plan
from irl.errors import InputError
from irl.records import ResultTable

ROOT = Path(__file__).resolve().parents[2]


def recipe(**others: dict[str, float | int]) -> ClusterRecipe:
    return ClusterRecipe(
        kind="cluster",
        seed=0,
        draws=3,
        workers=(64,),
        mtbf_hours=(6.0,),
        responses_per_shard=(131_072,),
        others=others,
    )


def test_arithmetic_stands_beside_a_simulation_with_its_interval(tmp_path: Path):
    rows = cluster_rows(recipe(), Making(tmp_path, None, lambda *_: None, lambda _: None))
    case = "64 GPUs, a node fails every 6 h, shards of 131,072"
    found = {(row.method, row.metric): row.estimate for row in rows if row.case == case}
    for metric in (f"{WALL} (hours)", OVERHEAD, FAILURES, f"{LOST} (GPU-hours)"):
        said, drawn = found[ARITHMETIC, metric], found[SIMULATION, metric]
        assert said is not None
        assert drawn is not None
        assert (said.low, said.n) == (said.high, 1)
        assert drawn.low < drawn.high
        assert drawn.n == 3
    assert found[RATIO, WALL].value == pytest.approx(1, abs=0.1)
    job = {row.metric: row.estimate.value for row in rows if row.case.startswith("the job")}
    assert job["computing (GPU-hours)"] == pytest.approx(583.33, abs=0.01)


def test_a_setting_that_a_cluster_does_not_have_is_refused_by_name():
    with pytest.raises(InputError, match="has no gpus; it has"):
        list(cases(recipe(more={"gpus": 3})))
    with pytest.raises(InputError, match="cannot have these settings"):
        list(cases(recipe(more={"workers": 1.5})))
    named = dict(cases(recipe(more={"workers": 3})))
    assert named["more"] == Cluster(workers=3)


def test_the_tables_arithmetic_is_the_codes_and_near_the_simulation_where_the_page_says():
    table = ResultTable.model_validate(
        json.loads((ROOT / "docs/results/cluster.json").read_text("utf-8"))
    )
    found = {(row.case, row.method, row.metric): row.estimate for row in table.rows}
    given = read_recipe(ROOT / "docs/recipes/cluster.yaml")
    assert isinstance(given, ClusterRecipe)
    for case, cluster in cases(given):
        planned = plan(Work(), cluster)
        said = found[case, ARITHMETIC, f"{WALL} (hours)"]
        assert said is not None
        assert said.value == pytest.approx(planned.wall_hours, rel=1e-9)
        ratio = found[case, RATIO, WALL]
        assert ratio is not None
        if planned.shards >= 12 * cluster.workers and planned.driver_share < 0.9:
            assert ratio.value == pytest.approx(1, abs=0.01)
