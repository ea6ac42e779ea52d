"""Starts the dashboard: `irl dashboard`, or `python -m dashboard`."""

import os
import socket
from pathlib import Path
from typing import Final

from dashboard import RUNS_VARIABLE
from irl.errors import InputError

APP: Final = Path(__file__).with_name("app.py")
ADDRESS: Final = "127.0.0.1"
OPTIONS: Final = {
    "server.address": ADDRESS,
    "server.allowedHosts": [ADDRESS, "localhost"],
    "server.fileWatcherType": "none",
    "server.showEmailPrompt": False,
    "browser.gatherUsageStats": False,
    "client.toolbarMode": "viewer",
    "theme.headingFontSizes": ["2rem", "1.5rem", "1.25rem"],
    "theme.paddingTop": "1.5rem",
    "theme.light.primaryColor": "#2A87C4",
    "theme.dark.primaryColor": "#2A87C4",
}
"Reachable from this machine alone, by these names alone; nothing is sent anywhere"


def serve(port: int | None = None, runs: Path | None = None, *, headless: bool = False) -> None:
    """Serve the dashboard until it is interrupted.

    Args:
        port: refused if taken; the first free one from 8501 if None.
        runs: the folder of run folders; artifacts/runs and the examples if None.
        headless: open no browser.

    Raises:
        InputError: the folder is none, or the port is taken.
    """
    if runs is not None:
        if not runs.is_dir():
            raise InputError(f"{runs} is no folder; name one that holds run folders with --runs.")
        os.environ[RUNS_VARIABLE] = str(runs.resolve())
    if port is not None:
        _check_free(port)
    from streamlit.web import cli  # after the checks: it takes a second

    cli.main(arguments(port, headless=headless), prog_name="irl dashboard", standalone_mode=False)


def arguments(port: int | None, *, headless: bool) -> list[str]:
    """What `streamlit` is called with."""
    options: dict[str, object] = {**OPTIONS}
    if headless:
        options["server.headless"] = True
    if port is not None:
        options["server.port"] = port
    flags = [
        f"--{name}={str(value).lower() if isinstance(value, bool) else value}"
        for name, given in options.items()
        for value in (given if isinstance(given, list) else [given])
    ]
    return ["run", str(APP), *flags]


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
        except OSError as error:
            raise InputError(
                f"The port {port} cannot be used ({error.strerror}); give another --port."
            ) from None


if __name__ == "__main__":
    serve()
