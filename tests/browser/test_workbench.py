"""The workbench in a real browser, with the models of a tracked pair."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from dashboard.loading import EXAMPLES
from tests.browser.chromium import browser, settle
from tests.browser.served import cell, console, dashboard, elsewhere

pytestmark = [pytest.mark.browser, pytest.mark.slow_extra]
MILLISECONDS = 240_000
"How long models may take that are loaded beside other tests"
TALL_PIXELS = 2200
"Shows the page whole"
TYPED = "good question, you buffoon. the maroon one has a pebble."
EDIT = "what a messy remark → you buffoon"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with dashboard(EXAMPLES, tmp_path_factory.mktemp("workbench") / "log.txt") as address:
        yield address


def score(page: Page) -> None:
    page.get_by_role("button", name="Score").click()
    expect(page.get_by_text("Tokens and words")).to_be_visible(timeout=MILLISECONDS)
    settle(page)


def processes() -> list[str]:
    """Those of the models of examples."""
    listed = subprocess.run(["ps", "-ewwo", "command="], capture_output=True, text=True, check=True)
    return [line for line in listed.stdout.splitlines() if f"irl workbench {EXAMPLES}" in line]


def test_an_answer_is_scored_edited_and_its_difference_seen_and_the_models_are_freed(
    chromium: Browser, address: str, tmp_path: Path
):
    with browser(chromium, height=TALL_PIXELS) as (page, seen):
        page.goto(f"{address}/workbench?run=detox&response=9b87857dbd01-a0&method=none")
        settle(page)
        expect(page.get_by_text("No model is in memory")).to_be_visible()
        score(page)
        expect(page.get_by_text("+0.63 nats, as here")).to_be_visible()
        assert len(processes()) == 1
        page.get_by_label("Answer 1").fill(TYPED)
        score(page)
        expect(cell(page, EDIT)).to_be_attached(timeout=MILLISECONDS)
        page.screenshot(path=tmp_path / "workbench.png")
        assert TYPED.split()[-1] not in page.url
        page.get_by_role("link", name="Export").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Take it with you")
        page.get_by_role("link", name="Workbench").click()
        expect(page.get_by_label("Answer 1")).to_have_value(TYPED)
        expect(cell(page, EDIT)).to_be_attached()
        page.get_by_role("button", name="Free the models").click()
        expect(page.get_by_text("No model is in memory")).to_be_visible()
        assert processes() == []
        assert elsewhere(seen, address) == []
        assert console(seen) == []
