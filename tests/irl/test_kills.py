"""kill -9 at any moment: the same work goes on, and ends byte for byte as if nothing had been."""

import os
import random
import signal
import time
from pathlib import Path

import pytest
import torch

from irl.config import Sampling
from irl.engine import local
from irl.engine.local import Workshop, sample_pair, score_pair
from irl.engine.shards import Shards
from irl.policies.pair import PolicyPair
from irl.tensors import TokenSequence
from tests import fakes

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")

SETTINGS = Sampling(
    responses_per_prompt=4, max_new_tokens=12, prompts_per_shard=4, token_budget=256
)
PROMPTS = [(1, *range(5, 5 + n % 9), 40 + n) for n in range(48)]


@pytest.fixture(scope="module")
def pair() -> PolicyPair:
    reference = fakes.model()
    return PolicyPair(fakes.policy(fakes.nudged(reference, 0.2)), fakes.policy(reference))


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "RESPONSES_PER_SHARD", 16)


def work(pair: PolicyPair, folder: Path) -> None:
    """Sample and score; 24 shards of each."""
    shop = Workshop(folder, SETTINGS, seed=3)
    drawn = sample_pair(pair, PROMPTS, shop)
    rows = zip(drawn["prompt"].to_pylist(), drawn["token_ids"].to_pylist(), strict=True)
    score_pair(pair, [TokenSequence(PROMPTS[at], tuple(ids)) for at, ids in rows], shop)


def killed(pair: PolicyPair, folder: Path, seconds: float) -> bool:
    """Do the work in another process and kill that after a while; False if it was done by then."""
    child = os.fork()
    if child == 0:
        try:
            torch.set_num_threads(1)
            work(pair, folder)
        finally:
            os._exit(0)
    time.sleep(seconds)
    finished, _ = os.waitpid(child, os.WNOHANG)
    if finished:
        return False
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.glob("*.parquet")}


def goes_on_after_kills(pair: PolicyPair, folder: Path, n_kills: int, seed: int) -> list[int]:
    """Kill until the work is done, again and again; how many shards each kill had left."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # threads do not survive a fork
    start = time.perf_counter()
    work(pair, folder / "whole")
    seconds = time.perf_counter() - start
    torch.set_num_threads(threads)
    whole, drawn = contents(folder / "whole"), random.Random(seed)
    left: list[int] = []
    while len(left) < n_kills:
        cut = folder / f"cut-{len(left)}"
        while killed(pair, cut, drawn.uniform(0, 0.5 * seconds)) and len(left) < n_kills:
            left.append(len(contents(cut)))
        work(pair, cut)
        assert contents(cut) == whole
    return left


@pytest.mark.slow
def test_three_kills_change_no_byte(pair: PolicyPair, tmp_path: Path):
    goes_on_after_kills(pair, tmp_path, 3, seed=0)


@pytest.mark.slow_extra
def test_fifty_kills_change_no_byte(pair: PolicyPair, tmp_path: Path):
    left = goes_on_after_kills(pair, tmp_path, 50, seed=1)
    assert len(set(left)) > 10, "the kills must strike at different stages"


# --- what counts as finished -------------------------------------------------------------------


@pytest.fixture
def finished(pair: PolicyPair, tmp_path: Path) -> Path:
    """A folder with three scored shards."""
    score(pair, tmp_path, SETTINGS)
    return tmp_path


def score(pair: PolicyPair, folder: Path, sampling: Sampling, first: int = 5) -> dict[str, int]:
    """Score 40 responses; when each shard was written."""
    sequences = [TokenSequence((1, first + n), (7, 2)) for n in range(40)]
    score_pair(pair, sequences, Workshop(folder, sampling, seed=3))
    return {file.name: file.stat().st_mtime_ns for file in folder.glob("*.parquet")}


def test_a_shard_is_reused_only_if_all_it_depends_on_is_the_same(pair: PolicyPair, finished: Path):
    written = score(pair, finished, SETTINGS)
    assert score(pair, finished, SETTINGS) == written
    other = SETTINGS.model_copy(update={"token_budget": 128})
    by_settings = score(pair, finished, other)
    assert not by_settings.items() & written.items()
    assert not score(pair, finished, other, first=6).items() & by_settings.items()


def test_a_shard_whose_bytes_have_changed_is_computed_again(pair: PolicyPair, finished: Path):
    file = finished / "scored-00001.parquet"
    before, whole = score(pair, finished, SETTINGS), file.read_bytes()
    file.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    after = score(pair, finished, SETTINGS)
    assert {name for name in after if after[name] != before[name]} == {file.name}
    assert file.read_bytes() == whole


def test_a_manifest_that_was_cut_loses_one_shard(pair: PolicyPair, finished: Path):
    manifest = finished / "scored.jsonl"
    lines = manifest.read_text(encoding="utf-8").splitlines(keepends=True)
    manifest.write_text("".join(lines)[:-30], encoding="utf-8")
    before = score(pair, finished, SETTINGS)
    assert score(pair, finished, SETTINGS) == before
    entries = Shards(finished, "scored").finished()
    assert [entry["rows"] for entry in entries.values()] == [16, 16, 8]
    assert manifest.read_text(encoding="utf-8").count("\n") == 4
