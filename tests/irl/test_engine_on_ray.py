"""Two nodes on this machine: what a cluster computes is what this process computes, to the byte.

Run by hand: `pytest -m slow_extra tests/irl/test_engine_on_ray.py`.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from irl.config import Sampling, ScoreSettings
from irl.engine import local, ray_pool
from irl.engine.engine import HERE, Engine
from irl.engine.local import Workshop, sample_pair, score_pair
from irl.engine.on_ray import OnRay
from irl.errors import PolicyError, RunError
from irl.jobs.scoring import score
from irl.policies.checkpoint import locate
from irl.policies.pair import PolicyPair, load_pair
from irl.runs import file_sha256
from irl.tensors import TokenSequence
from tests import fakes
from tests.clusters import engine_on, two_nodes

ray = pytest.importorskip("ray")
pytestmark = [pytest.mark.slow_extra, pytest.mark.filterwarnings("ignore::ResourceWarning")]

SETTINGS = Sampling(
    responses_per_prompt=4, max_new_tokens=12, prompts_per_shard=4, token_budget=256
)
PROMPTS = [(1, *range(5, 5 + n % 9), 40 + n) for n in range(48)]


class Stop(Exception):
    """The interruption of a run."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with two_nodes() as made:
        yield made


@pytest.fixture(scope="module")
def engine(cluster: Any) -> Iterator[OnRay]:
    with engine_on(cluster) as made:
        yield made


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return fakes.save_pair(tmp_path_factory.mktemp("pair"))


@pytest.fixture(scope="module")
def pair(sources: tuple[Path, Path]) -> PolicyPair:
    return load_pair(*map(str, sources))


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "RESPONSES_PER_SHARD", 16)


def work(
    pair: PolicyPair,
    folder: Path,
    engine: Engine,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> pa.Table:
    """Sample and score; 24 shards of each."""
    shop = Workshop(folder, SETTINGS, 3, progress, engine)
    drawn = sample_pair(pair, PROMPTS, shop)
    rows = zip(drawn["prompt"].to_pylist(), drawn["token_ids"].to_pylist(), strict=True)
    return score_pair(pair, [TokenSequence(PROMPTS[at], tuple(ids)) for at, ids in rows], shop)


def hashes(folder: Path) -> dict[str, str]:
    return {file.name: file_sha256(file) for file in folder.glob("*.parquet")}


def written(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mtime_ns for file in folder.glob("*.parquet")}


def manifests(folder: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """Every line of every manifest, whatever their order."""
    return {
        (file.name, entry["part"]): entry
        for file in folder.glob("*.jsonl")
        for entry in map(json.loads, file.read_text(encoding="utf-8").splitlines())
    }


def started(engine: OnRay) -> int:
    """Workers that could work now."""
    pool = engine._pool
    return 0 if pool is None else len(pool._free) + len(pool._busy)


def stopping_after(n_parts: int) -> Callable[[str, int, int], None]:
    seen: list[int] = []

    def report(_: str, done: int, __: int) -> None:
        seen.append(done)
        if len(seen) == n_parts:
            raise Stop

    return report


@pytest.fixture(scope="module")
def whole(pair: PolicyPair, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shards of a local run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local, "RESPONSES_PER_SHARD", 16)
        folder = tmp_path_factory.mktemp("whole")
        work(pair, folder, HERE)
    assert len(hashes(folder)) == 48
    return folder


def test_two_nodes_write_the_shards_and_the_manifest_of_one_process(
    engine: OnRay, pair: PolicyPair, whole: Path, tmp_path: Path
):
    told: list[tuple[str, int, int]] = []
    table = work(pair, tmp_path, engine, lambda *report: told.append(report))
    assert hashes(tmp_path) == hashes(whole)
    assert manifests(tmp_path) == manifests(whole)
    assert told[:12] == [("sampled-aligned", done, 12) for done in range(1, 13)]
    assert told[24:] == [("scored", done, 24) for done in range(1, 25)]
    assert table.equals(work(pair, whole, HERE))
    assert len(engine.nodes) == 2


@pytest.mark.parametrize("first", ["local", "ray"])
def test_a_run_begun_by_one_engine_is_continued_by_the_other(
    engine: OnRay, pair: PolicyPair, whole: Path, tmp_path: Path, first: str
):
    begins, ends = (HERE, engine) if first == "local" else (engine, HERE)
    with pytest.raises(Stop):
        work(pair, tmp_path, begins, stopping_after(30))
    before = written(tmp_path)
    assert 30 <= len(before) < 48
    work(pair, tmp_path, ends)
    assert hashes(tmp_path) == hashes(whole)
    assert before.items() <= written(tmp_path).items(), "finished shards are left alone"


def test_a_job_ends_with_the_same_run_id_and_files(
    engine: OnRay, sources: tuple[Path, Path], tmp_path: Path
):
    prompts = tmp_path / "prompts.jsonl"
    lines = [json.dumps({"prompt": f"what do you think of {n} dogs?"}) for n in range(12)]
    prompts.write_text("\n".join(lines), encoding="utf-8")
    aligned, reference = map(str, sources)
    settings = ScoreSettings(
        aligned=aligned, reference=reference, prompts=str(prompts), sampling=SETTINGS
    )
    runs = [
        score(settings, tmp_path / str(at), engine=one) for at, one in enumerate((HERE, engine))
    ]
    assert runs[0].run_id == runs[1].run_id
    for name in ("responses.parquet", "tokens.parquet", "config.yaml"):
        assert file_sha256(runs[0].path / name) == file_sha256(runs[1].path / name)


def test_what_the_work_refuses_is_said_as_it_would_be_here(engine: OnRay, tmp_path: Path):
    with pytest.raises(PolicyError) as here:
        list(HERE.each(locate, [str(tmp_path)], "folder"))
    with pytest.raises(PolicyError) as there:
        list(engine.each(locate, [str(tmp_path)], "folder"))
    assert str(there.value) == str(here.value)


def test_results_come_in_the_order_of_the_items(engine: OnRay):
    naps = [0.6, 0.0, 0.3, 0.0]
    assert list(engine.each(nap, naps, "nap")) == naps


def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def test_a_run_whose_node_is_killed_ends_as_if_nothing_had_been(
    cluster: Any,
    engine: OnRay,
    pair: PolicyPair,
    whole: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
):
    """Both nodes have a worker that has started: else nothing of the killed one is lost."""
    for turn in range(30):
        work(pair, tmp_path / f"before-{turn}", engine)
        if started(engine) == 2:
            break
    killed: list[float] = []

    def kill(_: str, done: int, total: int) -> None:
        if not killed and started(engine) == 2 and 3 <= done < total - 2:
            (node,) = cluster.worker_nodes
            cluster.remove_node(node, allow_graceful=False)
            killed.append(time.monotonic())

    work(pair, tmp_path / "run", engine, kill)
    assert len(killed) == 1
    assert "A worker was lost" in caplog.text
    assert hashes(tmp_path / "run") == hashes(whole)
    assert manifests(tmp_path / "run") == manifests(whole)


def test_work_that_takes_its_worker_with_it_is_given_up_by_name(
    engine: OnRay, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ray_pool, "MOST_TRIES", 2)
    with pytest.raises(RunError, match=r"^exit 0 was lost 2 times with its worker"):
        list(engine.each(os._exit, [1], "exit"))
