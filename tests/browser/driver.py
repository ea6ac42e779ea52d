"""Debian's chromium, driven through chromedriver by plain HTTP (the W3C WebDriver protocol)."""

import base64
import json
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
MISSING = "{} is not installed; `.ci/run` installs it (Debian: chromium and chromium-driver)."
ANSWER_SECONDS = 120
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"No proxy stands between this machine and itself"
IDLE = """
const app = document.querySelector("[data-testid=stApp]");
return !app || app.dataset.testScriptState === "notRunning"
  && !document.querySelector("[data-testid=stSkeleton]");
"""


_CONTROL, _TAB = "\ue009", "\ue004"


class Browser:
    """One page of one browser."""

    def __init__(self, session: str) -> None:
        self._session = session

    def open(self, url: str, width: int = 1280, height: int = 900) -> None:
        _call(f"{self._session}/window/rect", {"width": width, "height": height})
        _call(f"{self._session}/url", {"url": url})

    def script(self, code: str) -> Any:
        """The value that JavaScript returns."""
        return _call(f"{self._session}/execute/sync", {"script": code, "args": []})

    def point(self, x: float, y: float) -> None:
        """Move the pointer to a place in the window."""
        self._pointer({"type": "pointerMove", "x": round(x), "y": round(y), "duration": 50})

    def click(self, x: float, y: float) -> None:
        """The left button, at a place in the window."""
        self._pointer(
            {"type": "pointerMove", "x": round(x), "y": round(y), "duration": 50},
            {"type": "pointerDown", "button": 0},
            {"type": "pause", "duration": 50},
            {"type": "pointerUp", "button": 0},
        )

    def type_over(self, text: str) -> None:
        """Replace what stands in the field that has the focus, and leave it."""
        keys = [_CONTROL, "a"]
        actions = [{"type": "keyDown", "value": key} for key in keys]
        actions += [{"type": "keyUp", "value": key} for key in reversed(keys)]
        for key in [*text, _TAB]:
            actions += [{"type": kind, "value": key} for kind in ("keyDown", "keyUp")]
        keyboard = {"type": "key", "id": "keyboard", "actions": actions}
        _call(f"{self._session}/actions", {"actions": [keyboard]})

    def text(self) -> str:
        """What the page says, with the text inside figures."""
        return str(self.script("return document.body?.textContent ?? ''"))

    def wait_for(self, reached: Callable[["Browser"], object], seconds: float = 120) -> None:
        """Until a condition holds and Streamlit, if it is there, has finished its run."""
        until = time.monotonic() + seconds
        while not (reached(self) and self._idle()):
            if time.monotonic() > until:
                raise TimeoutError(f"The page still says: {self.text()[:2000]}")
            time.sleep(0.1)

    def screenshot(self, file: Path) -> None:
        file.write_bytes(base64.b64decode(_call(f"{self._session}/screenshot")))

    def printed(self) -> bytes:
        """The page on paper (A4), as PDF."""
        paper = {"background": True, "page": {"width": 21, "height": 29.7}}
        return base64.b64decode(_call(f"{self._session}/print", paper))

    def errors(self) -> list[str]:
        """What the console has called an error since the last call."""
        log = _call(f"{self._session}/se/log", {"type": "browser"})
        return [entry["message"] for entry in log if entry["level"] == "SEVERE"]

    def requested(self) -> list[str]:
        """Every address that pages have asked for since the last call."""
        log = _call(f"{self._session}/se/log", {"type": "performance"})
        events = [json.loads(entry["message"])["message"] for entry in log]
        sent = [e["params"] for e in events if e["method"] == "Network.requestWillBeSent"]
        sockets = [e["params"] for e in events if e["method"] == "Network.webSocketCreated"]
        return [event["request"]["url"] for event in sent] + [event["url"] for event in sockets]

    def _pointer(self, *moves: dict[str, Any]) -> None:
        pointer = {"type": "pointer", "id": "mouse", "actions": list(moves)}
        _call(f"{self._session}/actions", {"actions": [pointer]})

    def _idle(self) -> bool:
        return bool(self.script(IDLE))


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A fresh browser with its profile in the given folder."""
    programs = [shutil.which(name) for name in ("chromium", "chromedriver")]
    for name, found in zip(("chromium", "chromedriver"), programs, strict=True):
        assert found, MISSING.format(name)
    process = subprocess.Popen(
        [str(programs[1]), "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        address = f"http://127.0.0.1:{_port(process)}"
        options = {"binary": programs[0], "args": [*FLAGS, f"--user-data-dir={profile}"]}
        logs = {"performance": "ALL", "browser": "ALL"}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": logs}
        made = _call(f"{address}/session", {"capabilities": {"alwaysMatch": wanted}})
        session = f"{address}/session/{made['sessionId']}"
        try:
            yield Browser(session)
        finally:
            _call(session, method="DELETE")
    finally:
        process.terminate()
        process.communicate(timeout=ANSWER_SECONDS)


def _port(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    for line in process.stdout:
        started = re.search(r"started successfully on port (\d+)", line)
        if started:
            return int(started[1])
    raise RuntimeError("chromedriver did not start")


def _call(url: str, body: object = None, method: str | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    try:
        with DIRECT.open(request, timeout=ANSWER_SECONDS) as answer:
            return json.load(answer)["value"]
    except urllib.error.HTTPError as refused:
        raise RuntimeError(f"{url}: {refused.read().decode()[:1000]}") from None
