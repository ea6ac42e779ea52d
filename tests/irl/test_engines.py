"""Who does the work is no part of a run; the engine that works elsewhere is refused in words."""

import importlib.util
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from irl.config import Sampling, ScoreSettings
from irl.engine import ray_cluster
from irl.engine.engine import HERE, Engine, Work
from irl.engine.local import Draw, Score
from irl.engine.on_ray import OnRay
from irl.engine.ray_room import Room
from irl.engine.reach import refuse_unreachable
from irl.engine.settings import EngineSettings
from irl.engine.shards import Shards, silent
from irl.errors import InputError
from irl.policies.pair import PolicyPair
from irl.policies.path import ScoringPath
from irl.policies.served.policy import ServedPolicy
from tests import fakes
from tests.test_command_line import SMALL, irl

PROMPTS = {0: (1, 50, 60), 1: (1,), 2: (1, 9, 8, 7), 3: (1, 30)}
SAMPLING = Sampling(responses_per_prompt=2, max_new_tokens=4)


def test_the_work_of_a_part_is_the_work_with_no_more_than_it_needs():
    reference = fakes.model()
    pair = PolicyPair(fakes.policy(fakes.nudged(reference)), fakes.policy(reference))
    draw = Draw("aligned", PROMPTS, SAMPLING, seed=3)
    small = draw.at([2, 0])
    assert small.prompts == {2: PROMPTS[2], 0: PROMPTS[0]}
    assert small(pair, 5, [2, 0]).equals(draw(pair, 5, [2, 0]))
    assert all(isinstance(one, Work) for one in (draw, Score(SAMPLING)))


def test_here_items_are_taken_one_after_the_other_when_asked_for():
    taken: list[int] = []
    doubled = HERE.each(lambda item: taken.append(item) or 2 * item, [1, 2, 3], "item")
    assert (next(iter(doubled)), taken) == (2, [1])
    assert (list(doubled), taken) == ([4, 6], [1, 2, 3])
    assert isinstance(HERE, Engine)


def test_what_others_found_of_a_policy_is_added_to_what_is_known():
    known = ScoringPath(checked_tokens=5, gap_nats=2e-4, precision_nats=0.1)
    known.take(ScoringPath(9, 1e-4, failed_tokens=7, plain_because="it is", precision_nats=0.2))
    known.take(ScoringPath(3, 3e-4, failed_tokens=8, plain_because="other", row_tokens=64))
    assert known == ScoringPath(9, 3e-4, 7, "it is", 64, 0.1)


# --- the command line -------------------------------------------------------------------------


@pytest.fixture
def without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "ray" else found(name)
    )


@pytest.fixture
def with_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if it were installed; nothing here goes further than to an address."""
    spec = importlib.util.find_spec("json")
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: spec)


@pytest.mark.parametrize("command", ["score", "audit", "recover", "drift"])
def test_without_the_extra_the_command_says_what_to_install(without_ray: None, command: str):
    done = irl(command, "--aligned", "a", "--engine", "ray")
    assert done.code == 2
    assert done.err.splitlines() == [
        'irl: The engine ray needs the package Ray; install it with: pip install "irl-audit[ray]"'
    ]


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """The address of something that answers every greeting in this way."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            line, _ = server.accept()
            with line:
                line.recv(64)
                line.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_an_address_where_nothing_listens_is_refused_at_once(with_ray: None):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    start = time.monotonic()
    done = irl("score", "--aligned", "a", "--engine", "ray", "--address", address)
    assert time.monotonic() - start < 10
    assert done.code == 2
    assert done.err.startswith(f"irl: No Ray cluster answers at {address} (")
    assert len(done.err.splitlines()) == 1


def test_an_address_where_something_else_answers_is_refused(with_ray: None):
    with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as address:
        told = EngineSettings(engine="ray", address=address)
        with pytest.raises(InputError, match=f"What answers at {address} is no Ray cluster"):
            refuse_unreachable(told)


def test_an_address_where_http_2_is_spoken_is_let_through(with_ray: None):
    with answering(bytes([0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 5, 0, 0, 64, 0])) as address:
        refuse_unreachable(EngineSettings(engine="ray", address=address))


@pytest.mark.parametrize("address", ["ray://host:10001", "host", "host:port", ":"])
def test_an_address_of_another_form_is_refused(with_ray: None, address: str):
    with pytest.raises(InputError, match="is not of the form HOST:PORT"):
        refuse_unreachable(EngineSettings(engine="ray", address=address))


def test_a_served_policy_is_left_to_its_server(tmp_path: Path):
    """Before any worker is asked for."""
    pair = PolicyPair(object.__new__(ServedPolicy), fakes.policy(fakes.model()))
    engine, shards = OnRay(Room(1, 1.0, 0.0, 1)), Shards(tmp_path, "scored")
    with pytest.raises(InputError, match="leave --engine out"):
        list(engine.each_part(pair, shards, [[]], Score(Sampling()), silent))


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--workers", "2"), "--workers is of --engine ray"),
        (("--address", "auto"), "--address is of --engine ray"),
        (("--engine", "spark"), "The setting engine = 'spark' cannot be used"),
        (("--engine", "ray", "--workers", "0"), "The setting workers = 0 cannot be used"),
        (("--engine", "ray", "--gpus-per-worker", "1.5"), "The setting gpus_per_worker = 1.5"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(flags: tuple[str, ...], said: str):
    done = irl("score", "--aligned", "a", *flags)
    assert done.code == 2
    assert done.err.startswith(f"irl: {said}")


def test_the_engine_is_no_part_of_what_a_run_is(
    with_ray: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """What one engine has finished is finished for the other: same folder, same run id."""
    asked: list[EngineSettings] = []

    @contextmanager
    def pretended(settings: EngineSettings) -> Iterator[Engine]:
        asked.append(settings)
        yield HERE

    monkeypatch.setattr(ray_cluster, "engine_of", pretended)
    aligned, reference = fakes.save_pair(tmp_path)
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text(json.dumps({"prompt": "i like"}) + "\n", encoding="utf-8")
    pair = ("--aligned", aligned, "--reference", reference, "--prompts", prompts, *SMALL)
    command = ("score", *pair, "--out", tmp_path / "run")
    first = irl(*command, "--engine", "ray", "--workers", "2", "--gpus-per-worker", "0.5")
    assert (first.code, asked[0].workers, asked[0].gpus_per_worker) == (0, 2, 0.5)
    config = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text(encoding="utf-8"))
    assert config["settings"].keys() == ScoreSettings.model_fields.keys()
    second = irl(*command)
    assert second.code == 0
    assert "is finished" in second.err
    assert asked[1] == EngineSettings()
