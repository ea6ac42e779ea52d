"""What happens where there is no browser, and that nothing that a page does goes unseen."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.chromium import CI, MISSING, browser, executable

BUSY = """
<link rel="icon" href="/icon.png"><title>busy</title>
<iframe src="/frame"></iframe>
<script>
  fetch("/fetched");
  new Worker("/worker.js");
  new WebSocket(`ws://${location.host}/socket`);
  console.error("said");
  setTimeout(() => { document.title = "done"; throw new Error("thrown"); });
</script>
"""
ASKED = ("/", "/icon.png", "/frame", "/fetched", "/worker.js", "/socket")


class Answers(http.server.BaseHTTPRequestHandler):
    """The busy page, and an empty one at any other address."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html" if self.path == "/" else "text/javascript")
        self.end_headers()
        self.wfile.write(BUSY.encode() if self.path == "/" else b"")

    def log_message(self, *_: object) -> None:
        """Nothing is said on stderr."""


@contextmanager
def served() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@pytest.mark.parametrize("environment", [{}, {CI: "1"}])
def test_a_browser_that_is_there_is_used(environment: dict[str, str]):
    assert executable("/usr/bin/chromium", environment) == "/usr/bin/chromium"


@pytest.mark.parametrize("environment", [{}, {CI: ""}])
def test_without_a_browser_a_test_is_skipped_with_the_reason(environment: dict[str, str]):
    with pytest.raises(pytest.skip.Exception) as stopped:
        executable(None, environment)
    assert stopped.value.msg == MISSING


def test_without_a_browser_a_test_fails_where_everything_has_to_be_green():
    with pytest.raises(pytest.fail.Exception) as stopped:
        executable(None, {CI: "1"})
    assert stopped.value.msg == MISSING


@pytest.mark.browser
def test_every_request_and_every_error_of_a_page_is_seen(chromium: Browser):
    with served() as host, browser(chromium) as (page, seen):
        with page.expect_request("**/icon.png"):
            page.goto(f"http://{host}/")
        expect(page).to_have_title("done")
        page.wait_for_load_state("networkidle")
        asked = {url.partition(host)[2] for url in seen.requested()}
        errors = "\n".join(seen.errors())
    assert asked == set(ASKED)
    assert f"http://{host}/ said" in errors
    assert "thrown" in errors
    assert "WebSocket" in errors


@pytest.mark.browser
@pytest.mark.parametrize("wanted", ["light", "dark"])
def test_a_page_is_told_which_colours_are_wanted(chromium: Browser, wanted):
    with browser(chromium, color_scheme=wanted) as (page, _):
        assert page.evaluate(f"matchMedia('(prefers-color-scheme: {wanted})').matches")
        assert page.viewport_size == {"width": 1280, "height": 900}
