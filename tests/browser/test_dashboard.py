"""`irl dashboard` in a real browser, filled with hostile text. Screenshots stay in tmp_path."""

import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.browser.driver import DIRECT, Browser, browser
from tests.dashboard.samples import (
    HOSTILE,
    MARK,
    STATEMENT,
    write_audit,
    write_report,
    write_unfinished,
)

ROOT = Path(__file__).resolve().parents[2]
NAME = "audit-0123456789"
VERDICT = "Objective: not decided"
BROWSERS_OWN = ("chrome://", "data:", "blob:")
ROW_PIXELS = 35
"Height of a row of st.dataframe, and of its header"
SECONDS = 120
LINKS_AND_IMAGES = """
return [...document.querySelectorAll("a, img, iframe, script")]
  .map(element => element.href?.baseVal ?? element.href ?? element.src).join(" ");
"""
TABLE = """
const box = document.querySelector("[data-testid=stDataFrame] canvas").getBoundingClientRect();
return [box.left, box.top];
"""


PROBES = "/_stcore/"
"Where Streamlit's own page looks for its server first, under the page's address"
COMPONENT = """
const holder = [...document.querySelectorAll("*")]
  .find(element => element.shadowRoot?.querySelector(".tokens"));
const root = holder?.shadowRoot;
const tokens = [...(root?.querySelectorAll(".tokens span") ?? [])];
"""
COLOURED = "return tokens.map(token => token.style.background !== 'transparent');"
PLACE = "const box = {}.getBoundingClientRect(); return [box.left + 4, box.top + 4];"
SWITCH = """[...document.querySelectorAll("button")]
  .find(button => button.textContent.includes("value gained"))"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def dashboard(runs: Path, log: Path) -> Iterator[str]:
    """`irl dashboard` on a free port; Ctrl-C must end it with exit code 0."""
    port = free_port()
    command = [sys.executable, "-m", "irl", "dashboard", "--headless"]
    command += ["--port", str(port), "--runs", str(runs)]
    with log.open("w") as stream:
        process = subprocess.Popen(command, cwd=ROOT, stdout=stream, stderr=subprocess.STDOUT)
        try:
            address = f"http://127.0.0.1:{port}"
            wait_until_healthy(address, process, log)
            yield address
            process.send_signal(signal.SIGINT)
            assert process.wait(SECONDS) == 0, log.read_text()
        finally:
            process.kill()
            process.wait()


def wait_until_healthy(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            with DIRECT.open(f"{address}/_stcore/health", timeout=5):
                return
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.1)
    raise TimeoutError(f"The dashboard did not start: {log.read_text()}")


def says(*parts: str):
    return lambda page: all(part in page.text() for part in parts)


def console(page: Browser) -> list[str]:
    return [error for error in page.errors() if PROBES not in error]


def elsewhere(page: Browser, address: str) -> list[str]:
    """What was asked for, but of the dashboard itself."""
    asked = [url for url in page.requested() if not url.startswith(BROWSERS_OWN)]
    host = re.escape(address.removeprefix("http://"))
    assert len(asked) > 10
    return [url for url in asked if not re.match(rf"(http|ws)://{host}/", url)]


def open_first_run(page: Browser) -> None:
    """Click the button in the table's first row."""
    left, top = page.script(TABLE)
    page.click(left + 40, top + 1.5 * ROW_PIXELS)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    root = tmp_path / "runs"
    write_unfinished(root, "half")
    write_report(root, "bad", "{")
    write_audit(root, NAME)  # the newest
    return root


@pytest.mark.browser
def test_a_run_is_opened_from_the_list_and_nothing_is_fetched_from_outside(
    runs: Path, tmp_path: Path
):
    with (
        dashboard(runs, tmp_path / "log.txt") as address,
        browser(tmp_path / "profile") as page,
    ):
        page.open(address)
        page.wait_for(says("Newest first", NAME))
        page.screenshot(tmp_path / "runs.png")
        open_first_run(page)
        page.wait_for(says(VERDICT, STATEMENT, "please tell me", "3.27"))
        assert page.script("return location.search") == f"?run={NAME}"
        page.screenshot(tmp_path / "run.png")
        page.open(f"{address}/run?run={NAME}", width=420, height=4400)
        page.wait_for(says(VERDICT, "please tell me"))
        assert page.script("return document.documentElement.scrollWidth <= innerWidth")
        page.screenshot(tmp_path / "run-narrow.png")
        assert MARK in page.text()
        assert MARK not in page.script(LINKS_AND_IMAGES)
        assert elsewhere(page, address) == []
        assert console(page) == []
    assert "Traceback" not in (tmp_path / "log.txt").read_text()


@pytest.mark.browser
def test_a_link_shows_the_tokens_of_a_response_in_colour(runs: Path, tmp_path: Path):
    with (
        dashboard(runs, tmp_path / "log.txt") as address,
        browser(tmp_path / "profile") as page,
    ):
        page.open(f"{address}/attributions?run={NAME}&response=p31-a0", height=5200)
        page.wait_for(lambda page: page.script(COMPONENT + "return tokens.length === 4"))
        shown = page.script(COMPONENT + "return tokens.map(token => token.textContent)")
        assert shown == ["<img", HOSTILE, "↵\n", "</s>"]
        assert page.script(COMPONENT + COLOURED) == [False, True, True, False]
        assert page.script(COMPONENT + "return root.querySelectorAll('img, a').length") == 0
        page.point(*page.script(COMPONENT + PLACE.format("tokens[2]")))
        about = page.script(COMPONENT + "return root.querySelector('.about').innerText")
        assert "paid for: -0.500 nats" in about
        page.screenshot(tmp_path / "tokens.png")
        page.click(*page.script(PLACE.format(f"({SWITCH})")))
        page.wait_for(lambda page: "colour=value_gained" in page.script("return location.search"))
        page.wait_for(lambda page: page.script(COMPONENT + COLOURED) == [False, True, False, False])
        assert elsewhere(page, address) == []
        assert console(page) == []
    assert "Traceback" not in (tmp_path / "log.txt").read_text()


FIELD = """
const field = [...document.querySelectorAll("input")]
  .find(input => input.getAttribute("aria-label") === "{}");
const box = field.getBoundingClientRect(); return [box.left + 20, box.top + box.height / 2];
"""
NAMED = """
const found = [...document.querySelectorAll("{}")]
  .find(element => element.textContent.trim() === "{}");
const box = found.getBoundingClientRect(); return [box.left + 20, box.top + box.height / 2];
"""
FEW = {"Prompts, at most": "20", "Answers to each, of each policy": "2"}


@pytest.mark.browser
def test_an_audit_is_started_by_the_form_and_seen_to_finish(tmp_path: Path):
    runs = tmp_path / "runs"
    runs.mkdir()
    with (
        dashboard(runs, tmp_path / "log.txt") as address,
        browser(tmp_path / "profile") as page,
    ):
        page.open(address)
        page.wait_for(says("Start an audit", "There is no run yet"))
        page.click(*page.script(NAMED.format("summary p", "Start an audit")))
        page.wait_for(lambda page: page.script(FIELD.format("Seed"))[0] > 0)
        for name, value in FEW.items():
            page.click(*page.script(FIELD.format(name)))
            page.type_over(value)
        page.screenshot(tmp_path / "form.png")
        page.click(*page.script(NAMED.format("button", "Start")))
        page.wait_for(says(": working"))
        page.screenshot(tmp_path / "working.png")
        page.wait_for(lambda page: ": working" not in page.text(), seconds=300)
        page.wait_for(says("Newest first", "finished"))
        page.screenshot(tmp_path / "finished.png")
        (run,) = runs.glob("audit-*")
        assert (run / "report.html").is_file()
        open_first_run(page)
        page.wait_for(says("Objective: ", "What stands against it"))
        assert console(page) == []
    assert "Traceback" not in (tmp_path / "log.txt").read_text()


LONG = "\u202e" + 10_000 * "w"
SPOILT = f"<script>document.title = 'spoilt'</script> {LONG}"


def spoil(run: Path) -> None:
    """Put a script, a mark that turns text around and an endless word into one answer."""
    for file, column, value in (
        ("responses.parquet", "response", SPOILT),
        ("responses.parquet", "prompt", SPOILT),
        ("tokens.parquet", "tokens", ["<script>", LONG, "a", "</s>"]),
    ):
        table = pq.read_table(run / file)
        rows = table[column].to_pylist()
        rows[1] = value
        at = table.column_names.index(column)
        table = table.set_column(at, column, pa.array(rows, table[column].type))
        pq.write_table(table, run / file)


@pytest.mark.browser
def test_scripts_turned_text_and_endless_words_are_text_that_fits(tmp_path: Path):
    runs = tmp_path / "runs"
    spoil(write_audit(runs, NAME))
    with (
        dashboard(runs, tmp_path / "log.txt") as address,
        browser(tmp_path / "profile") as page,
    ):
        for place in ("attributions", "accuracy", "drift", "compare", "export"):
            page.open(f"{address}/{place}?run={NAME}&response=p1-a0", height=3000)
            page.wait_for(lambda page: page.script("return document.querySelectorAll('h1').length"))
            assert page.script("return document.documentElement.scrollWidth <= innerWidth"), place
            assert page.script("return document.title") != "spoilt"
            if place == "attributions":
                page.wait_for(lambda page: page.script(COMPONENT + "return tokens.length === 4"))
                shown = page.script(COMPONENT + "return tokens.map(token => token.textContent)")
                assert shown[0] == "<script>"
                assert shown[1].startswith("\\u202eww")
                page.screenshot(tmp_path / "spoilt.png")
        assert elsewhere(page, address) == []
    assert "Traceback" not in (tmp_path / "log.txt").read_text()
