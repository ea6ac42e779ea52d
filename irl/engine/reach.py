"""Whether Ray can be reached, found out within seconds: Ray itself would try for minutes."""

import importlib.util
import os
import socket

from irl.engine.settings import EngineSettings
from irl.errors import InputError

_ANSWER_SECONDS = 5.0
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"How HTTP/2 begins, which a cluster's head speaks (gRPC), with settings that are all defaults"
_SETTINGS_KIND = 4


def refuse_unreachable(settings: EngineSettings) -> None:
    """Say at once what would keep the engine from working.

    Raises:
        InputError: Ray is not installed, nothing of its kind answers, or flags do not go together.
    """
    settings.refuse_idle_flags()
    if settings.engine == "local":
        return
    if importlib.util.find_spec("ray") is None:
        raise InputError(
            'The engine ray needs the package Ray; install it with: pip install "irl-audit[ray]"'
        )
    if (address := address_of(settings)) not in (None, "auto"):
        _knock(address)


def address_of(settings: EngineSettings) -> str | None:
    """The cluster that is meant; None starts one on this machine."""
    return settings.address or os.environ.get("RAY_ADDRESS") or None


def _knock(address: str) -> None:
    host, colon, port = address.rpartition(":")
    if "://" in address or not colon or not port.isdigit():
        raise InputError(
            f"The address {address} is not of the form HOST:PORT, nor `auto`; `ray start --head` "
            "prints the address of a cluster, and this machine must be a node of it."
        )
    try:
        with socket.create_connection((host.strip("[]"), int(port)), _ANSWER_SECONDS) as line:
            line.sendall(_GREETING)
            answer = line.recv(9, socket.MSG_WAITALL)
    except (OSError, OverflowError) as error:
        raise InputError(
            f"No Ray cluster answers at {address} ({error}); check that it runs and may be reached "
            "from here."
        ) from None
    if len(answer) < 9 or answer[3] != _SETTINGS_KIND:
        raise InputError(
            f"What answers at {address} is no Ray cluster; `ray start --head` prints the address "
            "of one (its port is 6379, not that of the dashboard)."
        )
