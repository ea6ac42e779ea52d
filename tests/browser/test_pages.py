"""Every page that the navigation names, on the tracked examples."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from dashboard.loading import EXAMPLES
from tests.browser.chromium import browser, settle
from tests.browser.served import MARK_PIXELS, click_first_row, console, dashboard, elsewhere, walk

pytestmark = pytest.mark.browser
BACKGROUNDS = "all => all.map(one => [one.textContent, one.style.background])"
TALLER = 1800
"Pixels; shows the table of responses and the one that is read below it"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with dashboard(EXAMPLES, tmp_path_factory.mktemp("pages") / "log.txt") as address:
        yield address


def test_every_page_is_reached_by_its_link_and_shows_its_title(chromium: Browser, address: str):
    with browser(chromium) as (page, seen):
        page.goto(address)
        settle(page)
        expect(page).to_have_url(f"{address}/")
        titles = [page.get_by_role("heading", level=1).inner_text()]
        for title in walk(page):
            assert page.get_by_test_id("stException").count() == 0
            titles.append(title)
        assert len(set(titles)) == len(titles) > 1
        assert all(titles)
        assert elsewhere(seen, address) == []
        assert console(seen) == []


def view(page: Page) -> tuple[str, list[list[str]], list[str]]:
    """What a reader sees: text, tokens in their colours, and what is chosen."""
    settle(page)
    chosen = page.get_by_role("radio", checked=True)
    return (
        page.get_by_role("main").inner_text(),
        tokens(page).evaluate_all(BACKGROUNDS),
        chosen.all_inner_texts(),
    )


def tokens(page: Page) -> Locator:
    """Of all responses that are shown."""
    return page.locator(".tokens [data-at]")


def test_a_link_that_is_shared_shows_what_its_sender_saw(chromium: Browser, address: str):
    with browser(chromium, height=TALLER) as (page, _):
        page.goto(f"{address}/attributions?run=detox")
        settle(page)
        click_first_row(page, MARK_PIXELS)
        value_gained = page.get_by_role("radio", name="value gained")
        value_gained.click()
        expect(value_gained).to_be_checked()
        legend = page.locator(".legend")
        expect(legend.filter(has_text="value gained")).to_be_visible()
        expect(legend.filter(has_text="paid for")).to_have_count(0)
        sent, link = view(page), page.url
    for part in ("run=detox", "response=", "colour=value_gained"):
        assert part in link
    with browser(chromium, height=TALLER) as (page, seen):
        page.goto(link)
        expect(tokens(page)).to_have_count(len(sent[1]))
        assert view(page) == sent
        assert len(sent[1]) > 0
        assert page.url == link
        assert elsewhere(seen, address) == []
        assert console(seen) == []


RESPONSE = "cd0714d0ef59-r3"
"Calls the wallet a buffoon"


def test_a_click_on_a_token_drills_down_and_the_keyboard_goes_on(chromium: Browser, address: str):
    with browser(chromium, height=TALLER) as (page, seen):
        page.goto(f"{address}/attributions?run=detox&response={RESPONSE}&by=word")
        tokens(page).filter(has_text="buffoon").first.click()
        expect(page.get_by_role("heading", name="The chosen token")).to_be_visible()
        settle(page)
        (at,) = re.findall(r"&token=(\d+)", page.url)
        expect(page.get_by_text(f"{int(at) + 1} of ")).to_be_visible()
        marked = page.locator(".tokens .marked")
        expect(marked).to_have_text(" buffoon")
        marked.focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        expect(marked).to_have_text(",")
        expect(marked).to_be_focused()
        page.go_back()
        expect(marked).to_have_text(" buffoon")
        assert elsewhere(seen, address) == []
        assert console(seen) == []
