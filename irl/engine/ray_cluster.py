"""The way onto a Ray cluster: connect, or say in words why not, within seconds."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from irl.engine.engine import Engine, Here
from irl.engine.on_ray import OnRay
from irl.engine.ray_room import Room, check_room
from irl.engine.reach import address_of, refuse_unreachable
from irl.engine.settings import EngineSettings
from irl.errors import InputError, first_line
from irl.policies.threads import keep_to_cores

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
    refuse_unreachable(settings)
    if settings.engine == "local":
        yield Here()
        return
    threads = settings.threads_per_worker or keep_to_cores()
    cpus = float(settings.cpus_per_worker or threads)
    room = Room(settings.workers, cpus, float(settings.gpus_per_worker), threads)
    with connected(address_of(settings)):
        check_room(room)
        engine = OnRay(room, settings.threads_per_worker)
        try:
            yield engine
        finally:
            engine.close()


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """A connection to a cluster, or one on this machine; one that is there already is used.

    Raises:
        InputError: it cannot be used.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import ray

    if ray.is_initialized():
        yield
        return
    try:
        ray.init(
            address=address or "local",
            include_dashboard=None if address else False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except Exception as error:  # of many kinds: versions that differ, no node here, no such cluster
        reason = first_line(error)
        raise InputError(
            f"The Ray cluster {address or 'of this machine'} cannot be used ({reason}); start one "
            "with `ray start --head`, join it from this machine, or leave --address out."
        ) from None
    try:
        yield
    finally:
        ray.shutdown()
