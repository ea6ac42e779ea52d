"""The way onto a Ray cluster: connect, or say in words why not, within seconds."""

import importlib.util
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from irl.engine.engine import Engine, Here
from irl.engine.on_ray import OnRay
from irl.engine.ray_pool import Room, check_room
from irl.engine.settings import EngineSettings
from irl.errors import InputError
from irl.policies.threads import keep_to_cores

_ANSWER_SECONDS = 5.0
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else it warns of what it will do one day
}


@contextmanager
def engine_of(settings: EngineSettings) -> Iterator[Engine]:
    """The engine that the settings name, connected; its workers are let go at the end.

    Raises:
        InputError: Ray is not installed, there is no cluster, or it has no room for a worker.
    """
    settings.refuse_idle_flags()
    if settings.engine == "local":
        yield Here()
        return
    refuse_without_ray()
    threads = settings.threads_per_worker or keep_to_cores()
    cpus = settings.cpus_per_worker or threads
    room = Room(settings.workers, cpus, settings.gpus_per_worker, threads)
    with connected(settings.address):
        check_room(room)
        engine = OnRay(room, settings.threads_per_worker)
        try:
            yield engine
        finally:
            engine.close()


def refuse_without_ray() -> None:
    """Ray is an extra.

    Raises:
        InputError: it is not installed.
    """
    if importlib.util.find_spec("ray") is None:
        raise InputError(
            'The engine ray needs the package Ray; install it with: pip install "irl-audit[ray]"'
        )


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """A connection to a cluster, or one on this machine; one that is there already is used.

    Raises:
        InputError: nothing answers at the address, or not as it should.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    address = address or os.environ.get("RAY_ADDRESS") or None
    if address not in (None, "auto"):
        _knock(address)
    import ray

    if ray.is_initialized():
        yield
        return
    try:
        ray.init(
            address=address,
            include_dashboard=None if address else False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except Exception as error:  # of many kinds: versions that differ, no node here, no such cluster
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"The Ray cluster {address or 'of this machine'} cannot be used ({reason}); start one "
            "with `ray start --head`, join it from this machine, or leave --address out."
        ) from None
    try:
        yield
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Ray itself would try for minutes."""
    host, colon, port = address.rpartition(":")
    if "://" in address or not colon or not port.isdigit():
        raise InputError(
            f"The address {address} is not of the form HOST:PORT, nor `auto`; `ray start --head` "
            "prints the address of a cluster, and this machine must be a node of it."
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise InputError(
            f"No Ray cluster answers at {address} ({error}); check that it runs and may be reached "
            "from here."
        ) from None
