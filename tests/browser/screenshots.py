"""Pictures of the dashboard, on the examples.

`python -m tests.browser.screenshots` makes those in docs/;
`python -m tests.browser.screenshots --all DIR` those of every page with every run that it can
show, whole, in light and in dark, for somebody to look at.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, get_args

from playwright.sync_api import Browser, Page, expect

from dashboard.loading import EXAMPLES
from tests.browser.chromium import (
    HEIGHT,
    MISSING,
    PROGRAM,
    WIDTH,
    ColorScheme,
    browser,
    settle,
    started,
)
from tests.browser.served import MARK_PIXELS, click_first_row, dashboard, links

DOCS: Final = Path(__file__).resolve().parents[2] / "docs"
PICTURES: Final = {
    "dashboard": ("run?run=detox", 923, "Objective: found"),
    "dashboard-attributions": ("attributions?run=detox&find=buffoon", 1257, "responses"),
    "dashboard-accuracy": ("accuracy?run=detox", 1457, "Are its odds right?"),
    "dashboard-training": ("training?run=aligned-with-a-weak-member", 1337, "Warnings"),
}
MORE: Final = {"compare": "&with=real-detox&with=detox"}
"What is chosen beside the run, where a page shows little without it"
STILL_MILLISECONDS: Final = 500
TRIES: Final = 20


def main() -> None:
    """Open every page and keep what it shows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--all", type=Path, metavar="DIR", help="every page, light and dark")
    folder = parser.parse_args().all
    program = shutil.which(PROGRAM) or sys.exit(MISSING)
    with (
        tempfile.TemporaryDirectory() as scratch,
        dashboard(EXAMPLES, Path(scratch) / "log.txt") as address,
        started(program) as chromium,
    ):
        if folder is None:
            for_docs(chromium, address)
            return
        folder.mkdir(parents=True, exist_ok=True)
        for scheme in get_args(ColorScheme):
            everything(chromium, address, folder, scheme)


def for_docs(chromium: Browser, address: str) -> None:
    """The pictures that docs/ shows."""
    with browser(chromium) as (page, _):
        for name, (place, height, text) in PICTURES.items():
            page.set_viewport_size({"width": WIDTH, "height": height})
            page.goto(f"{address}/{place}")
            expect(page.get_by_text(text).first).to_be_visible()
            settle(page)
            _keep(page, DOCS / f"{name}.png")


def everything(chromium: Browser, address: str, folder: Path, scheme: ColorScheme) -> None:
    """Every page with every run that it offers."""
    with browser(chromium, color_scheme=scheme) as (page, _):
        page.goto(address)
        settle(page)
        entries = [str(link.get_attribute("href")) for link in links(page).all()]
        for place in entries:
            name = place.rpartition("/")[2]
            for run in _runs(page, place):
                page.goto(f"{place}?run={run}{MORE.get(name, '')}" if run else place)
                settle(page)
                if name == "attributions":
                    click_first_row(page, MARK_PIXELS)
                    expect(page.locator(".tokens").first).to_be_visible()
                _show_whole(page)
                _keep(page, folder / f"{name or 'runs'}{run and f'-{run}'}-{scheme}.png")


def _runs(page: Page, place: str) -> Iterator[str]:
    """Those that a page lets one choose; none, once, where it shows no single run."""
    page.goto(place)
    settle(page)
    choice = page.get_by_role("combobox", name="Run", exact=True)
    if choice.count() == 0:
        yield ""
        return
    choice.click()
    offered = page.get_by_role("option").all_inner_texts()
    yield from [name.partition(" ")[0] for name in offered]


def _show_whole(page: Page) -> None:
    """Make the window as tall as what it shows: Streamlit scrolls a part of its page."""
    content, height = page.get_by_test_id("stMain"), HEIGHT
    page.set_viewport_size({"width": WIDTH, "height": height})
    for _ in range(TRIES):
        settle(page)
        hidden = content.evaluate("one => one.scrollHeight - one.clientHeight")
        if hidden <= 0:
            return
        height += hidden
        page.set_viewport_size({"width": WIDTH, "height": height})


def _keep(page: Page, file: Path) -> None:
    """A picture of the page once nothing on it moves any more."""
    before = b""
    for _ in range(TRIES):
        shown = page.screenshot(path=file)
        if shown == before:
            break
        before = shown
        page.wait_for_timeout(STILL_MILLISECONDS)
    sys.stdout.write(f"{file}\n")


if __name__ == "__main__":
    main()
