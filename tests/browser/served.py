"""`irl dashboard` as a process of its own, and what may be expected of every page of it."""

import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from tests.browser.chromium import IDLE, SECONDS, Seen, settle

ROOT = Path(__file__).resolve().parents[2]
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"No proxy stands between this machine and itself"
PROBES = "/_stcore/"
"Where Streamlit's own page looks for its server first, under the page's address"
ROW_PIXELS = 35
"Height of a row of st.dataframe, and of its header"
MARK_PIXELS = 15
"Where the box is that marks a row, from the left edge"
ADDRESSES = "all => all.map(one => one.href?.baseVal ?? one.href ?? one.src).join(' ')"


@contextmanager
def dashboard(runs: Path, log: Path) -> Iterator[str]:
    """`irl dashboard` on a free port; Ctrl-C must end it with exit code 0, and no run of a page
    may have failed.
    """
    port = _free_port()
    command = [sys.executable, "-m", "irl", "dashboard", "--headless"]
    command += ["--port", str(port), "--runs", str(runs)]
    with log.open("w") as stream:
        process = subprocess.Popen(command, cwd=ROOT, stdout=stream, stderr=subprocess.STDOUT)
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_until_healthy(address, process, log)
            yield address
            process.send_signal(signal.SIGINT)
            assert process.wait(SECONDS) == 0, log.read_text()
        finally:
            process.kill()
            process.wait()
    assert "Traceback" not in log.read_text()


def links(page: Page) -> Locator:
    """The entries of the navigation."""
    return page.get_by_role("navigation", name="App pages").get_by_role("link")


def walk(page: Page) -> Iterator[str]:
    """Follow every link of the navigation to another page; the title of each, once it is drawn."""
    others = links(page).and_(page.locator(":not([aria-current])"))
    title = page.locator(IDLE).get_by_role("heading", level=1)
    for name in others.all_inner_texts():
        before = title.inner_text()
        entry = links(page).and_(page.get_by_role("link", name=name, exact=True))
        entry.click()
        expect(title).not_to_have_text(before)
        settle(page)
        expect(entry).to_have_attribute("aria-current", "page")
        assert page.url.startswith(str(entry.get_attribute("href")))
        yield title.inner_text()


def cell(page: Page, text: str) -> Locator:
    """Cells of a table that say so; they are drawn, and in the page for screen readers only."""
    return page.get_by_role("gridcell", name=text, include_hidden=True)


def click_first_row(page: Page, pixels: int) -> None:
    """Click so far from the left edge of the first table."""
    table = page.get_by_test_id("stDataFrame").first
    table.click(position={"x": pixels, "y": 1.5 * ROW_PIXELS})


def addresses(page: Page) -> str:
    """Of everything that leads somewhere or loads something, inside components too."""
    found = page.locator("a, img, iframe, script, [href], [src]")
    return str(found.evaluate_all(ADDRESSES))


def console(seen: Seen) -> list[str]:
    """What went wrong behind the page."""
    return [error for error in seen.errors() if PROBES not in error]


def elsewhere(seen: Seen, address: str) -> list[str]:
    """What was asked for, but of the dashboard itself."""
    asked = [url for url in seen.requested() if not url.startswith("blob:")]
    host = re.escape(address.removeprefix("http://"))
    assert len(asked) > 10
    return [url for url in asked if not re.match(rf"(http|ws)://{host}/", url)]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_healthy(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            with DIRECT.open(f"{address}/_stcore/health", timeout=5):
                return
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.1)
    raise TimeoutError(f"The dashboard did not start: {log.read_text()}")
