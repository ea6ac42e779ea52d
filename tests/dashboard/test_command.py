import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from dashboard.__main__ import arguments

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "transformers", "captum", "sklearn", "peft", "streamlit")
REFUSED = """
import json, sys
from irl.__main__ import main
sys.argv = ["irl", "dashboard", "--headless", *{given!r}]
try:
    main()
except SystemExit as stop:
    loaded = [name for name in {heavy!r} if name in sys.modules]
    print(json.dumps([stop.code, loaded]))
"""


def refused(*given: str) -> str:
    """What `irl dashboard` says on stderr; it must exit with 2, and before anything is loaded."""
    done = subprocess.run(
        [sys.executable, "-c", REFUSED.format(given=given, heavy=HEAVY)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert json.loads(done.stdout) == [2, []], done.stderr
    return done.stderr


def test_a_taken_port_is_refused_in_a_sentence():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        said = refused("--port", port)
    assert said.startswith("irl: The port")
    assert port in said


def test_a_missing_folder_is_refused_in_a_sentence(tmp_path: Path):
    said = refused("--runs", str(tmp_path / "nowhere"))
    assert said.startswith("irl: ")
    assert "nowhere is no folder" in said


def test_the_server_is_reached_from_this_machine_alone_and_reports_to_nobody():
    given = arguments(None, headless=False)
    assert "--server.address=127.0.0.1" in given
    assert "--browser.gatherUsageStats=false" in given
    hosts = [flag.split("=")[1] for flag in given if flag.startswith("--server.allowedHosts")]
    assert hosts == ["127.0.0.1", "localhost"]
    assert not any(flag.startswith(("--server.port", "--server.headless")) for flag in given)


@pytest.mark.parametrize("flag", ["--server.port=9000", "--server.headless=true"])
def test_port_and_headless_are_passed_on(flag: str):
    assert flag in arguments(9000, headless=True)
