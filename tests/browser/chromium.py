"""Debian's chromium, driven through Playwright; no browser is downloaded."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, WebSocket, expect, sync_playwright

ColorScheme = Literal["light", "dark"]
PROGRAM: Final = "chromium"
MISSING: Final = f"{PROGRAM} is not installed; `.ci/run` installs it (Debian: {PROGRAM})."
CI: Final = "IRL_CI"
"Set by `.ci/run`, where a missing browser is a failure"
WIDTH, HEIGHT, TALL = 1280, 900, 5200
"Pixels. A tall window shows a page whole: tokens that are far from the screen are no elements"
SECONDS: Final = 60
"How long anything that is waited for may take"
FLAGS: Final = (
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
IDLE: Final = (
    "[data-testid=stApp][data-test-script-state=notRunning]:not(:has([data-testid=stSkeleton]))"
)
"Streamlit's page once its script has ended and all of it is shown"
SETTLED: Final = """idle => document.querySelector(idle)
  && [...document.querySelectorAll("[data-testid=stPlotlyChart]")]
    .every(figure => figure.querySelector(".main-svg"))"""


class Seen:
    """What went on behind a page."""

    def __init__(self, context: BrowserContext) -> None:
        self._context = context
        self._errors: list[str] = []
        self._requested: list[str] = []
        context.on("console", lambda said: self._log(said.type, said.location["url"], said.text))
        context.on("weberror", lambda thrown: self._errors.append(str(thrown.error)))
        context.on("request", lambda request: self._requested.append(request.url))
        context.on("page", lambda page: page.on("websocket", self._socket))

    def errors(self) -> list[str]:
        """What the console has called an error, with its place, and what was thrown."""
        self._catch_up()
        return list(self._errors)

    def requested(self) -> list[str]:
        """Every address that was asked for, by pages, frames, workers and sockets."""
        self._catch_up()
        return list(self._requested)

    def _log(self, kind: str, place: str, text: str) -> None:
        if kind == "error":
            self._errors.append(f"{place} {text}")

    def _socket(self, opened: WebSocket) -> None:
        self._requested.append(opened.url)

    def _catch_up(self) -> None:
        """Events come when Playwright is asked something, in the order in which they happened."""
        for page in self._context.pages:
            page.title()


def executable(found: str | None, environment: Mapping[str, str]) -> str:
    """The browser; where there is none, a test fails in `.ci/run` and is skipped elsewhere."""
    if found is not None:
        return found
    if environment.get(CI):
        pytest.fail(MISSING)
    pytest.skip(MISSING)


@contextmanager
def started(program: str) -> Iterator[Browser]:
    """A browser without a window."""
    expect.set_options(timeout=1000 * SECONDS)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=FLAGS)
        try:
            yield running
        finally:
            running.close()


@contextmanager
def browser(
    chromium: Browser,
    *,
    width: int = WIDTH,
    height: int = HEIGHT,
    color_scheme: ColorScheme = "light",
) -> Iterator[tuple[Page, Seen]]:
    """An empty page of somebody who was never here, and what goes on behind it."""
    context = chromium.new_context(
        viewport={"width": width, "height": height}, color_scheme=color_scheme
    )
    context.set_default_timeout(1000 * SECONDS)
    try:
        seen = Seen(context)
        yield context.new_page(), seen
    finally:
        context.close()


def settle(page: Page) -> None:
    """Until Streamlit has finished its run, and every figure of it is drawn."""
    page.wait_for_function(SETTLED, arg=IDLE)


def fits(page: Page) -> bool:
    """Whether nothing is wider than the window, nor than the part that Streamlit scrolls."""
    within = "one => one.scrollWidth <= one.clientWidth"
    scrolled = page.locator("html, [data-testid=stMain]")
    return all(one.evaluate(within) for one in scrolled.all())
