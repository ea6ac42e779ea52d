"""report.html in a real browser, filled with hostile text. Screenshots stay in tmp_path."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from explain.report import render
from tests.browser.chromium import browser, fits
from tests.explain.test_report import HOSTILE, report, shown_pair

INJECT = """
const script = document.createElement("script");
script.textContent = "window.ran = true";
document.body.append(script);
window.ran === undefined;
"""


def expect_drawn(page: Page) -> None:
    """Every figure is there, and more than one drawing."""
    expect(page.locator(".figure .main-svg").nth(1)).to_be_attached()
    undrawn = page.locator(".figure").filter(has_not=page.locator(".main-svg"))
    expect(undrawn).to_have_count(0)


def assert_blocks_scripts(page: Page) -> None:
    """The page's own policy keeps a script out that somebody puts into it."""
    with page.expect_console_message() as told:
        assert page.evaluate(INJECT)
    assert told.value.type == "error"
    assert "script-src" in told.value.text


@pytest.mark.browser
def test_the_page_draws_its_figures_switches_and_prints_under_its_own_policy(
    chromium: Browser, tmp_path: Path
):
    file = tmp_path / "report.html"
    file.write_text(render(report(HOSTILE), shown_pair(HOSTILE)), encoding="utf-8")
    with browser(chromium) as (page, seen):
        page.goto(file.as_uri())
        expect_drawn(page)
        page.screenshot(path=tmp_path / "report.png")
        assert fits(page)
        paid_for, value_gained = page.locator(".shading").all()
        expect(paid_for).to_be_visible()
        expect(value_gained).to_be_hidden()
        page.locator("label", has_text="value gained").click()
        expect(paid_for).to_be_hidden()
        expect(value_gained).to_be_visible()
        assert page.pdf(format="A4", print_background=True).startswith(b"%PDF")
        page.set_viewport_size({"width": 420, "height": 900})
        page.goto(file.as_uri())
        expect_drawn(page)
        assert fits(page)
        assert seen.errors() == []
        assert set(seen.requested()) == {file.as_uri()}
        assert_blocks_scripts(page)
