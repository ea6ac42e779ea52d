"""report.html in a real browser, filled with hostile text. Screenshots stay in tmp_path."""

from pathlib import Path

import pytest

from explain.report import render
from tests.browser.driver import Browser, browser
from tests.explain.test_report import HOSTILE, report, shown_pair

DRAWN = "return document.querySelectorAll('.figure .main-svg').length > 1"
VISIBLE = """
return [...document.querySelectorAll(".shading")].map(part => part.offsetHeight > 0);
"""
SWITCH = """
const label = document.querySelector("label[for=shading-value_gained]");
label.scrollIntoView({block: "center"});
const box = label.getBoundingClientRect();
return [box.left + 5, box.top + 5];
"""
INJECT = """
const script = document.createElement("script");
script.textContent = "window.ran = true";
document.body.append(script);
return window.ran === undefined;
"""


def fits(page: Browser) -> bool:
    return bool(page.script("return document.documentElement.scrollWidth <= innerWidth"))


@pytest.mark.browser
def test_the_page_draws_its_figures_switches_and_prints_under_its_own_policy(tmp_path: Path):
    file = tmp_path / "report.html"
    file.write_text(render(report(HOSTILE), shown_pair(HOSTILE)), encoding="utf-8")
    with browser(tmp_path / "profile") as page:
        page.requested()  # what the browser's first, empty page asks for
        page.open(file.as_uri())
        page.wait_for(lambda page: page.script(DRAWN))
        page.screenshot(tmp_path / "report.png")
        assert fits(page)
        assert page.script(VISIBLE) == [True, False]
        page.click(*page.script(SWITCH))
        assert page.script(VISIBLE) == [False, True]
        assert page.printed().startswith(b"%PDF")
        page.open(file.as_uri(), width=420)
        page.wait_for(lambda page: page.script(DRAWN))
        assert fits(page)
        assert page.errors() == []
        asked = [url for url in page.requested() if not url.startswith(("chrome:", "data:"))]
        assert set(asked) == {file.as_uri()}
        assert page.script(INJECT)
        assert "script-src" in page.errors()[0]
