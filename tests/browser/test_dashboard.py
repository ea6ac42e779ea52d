"""`irl dashboard` in a real browser, filled with hostile text. Screenshots stay in tmp_path."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.chromium import HEIGHT, TALL, WIDTH, browser, fits, settle
from tests.browser.served import (
    addresses,
    cell,
    click_first_row,
    console,
    dashboard,
    elsewhere,
    walk,
)
from tests.dashboard.samples import (
    HOSTILE,
    MARK,
    STATEMENT,
    write_audit,
    write_report,
    write_unfinished,
)

pytestmark = pytest.mark.browser
NAME = "audit-0123456789"
VERDICT = "Objective: not decided"
OPEN_PIXELS = 40
"Where the button of a row is"
CLEAR = "rgba(0, 0, 0, 0)"
AUDIT_SECONDS = 300


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    root = tmp_path / "runs"
    write_unfinished(root, "half")
    write_report(root, "bad", "{")
    write_audit(root, NAME)  # the newest
    return root


def tokens(page: Page) -> Locator:
    """Of the response that is read."""
    return page.locator(".tokens").first.locator("[data-at]")


def expect_coloured(page: Page, wanted: list[bool]) -> None:
    """Which tokens have a background."""
    expect(tokens(page)).to_have_count(len(wanted))
    for token, coloured in zip(tokens(page).all(), wanted, strict=True):
        background = expect(token)
        check = background.not_to_have_css if coloured else background.to_have_css
        check("background-color", CLEAR)


def test_a_run_is_opened_from_the_list_and_nothing_is_fetched_from_outside(
    chromium: Browser, runs: Path, tmp_path: Path
):
    with (
        dashboard(runs, tmp_path / "log.txt") as address,
        browser(chromium) as (page, seen),
    ):
        page.goto(address)
        expect(page.get_by_text("Newest first")).to_be_visible()
        expect(cell(page, NAME).first).to_be_attached()
        settle(page)
        page.screenshot(path=tmp_path / "runs.png")
        click_first_row(page, OPEN_PIXELS)
        for said in (VERDICT, STATEMENT, "3.27"):
            expect(page.get_by_text(said).first).to_be_visible()
        settle(page)
        expect(page.get_by_test_id("stPlotlyChart").get_by_text("please tell me")).to_be_visible()
        expect(page).to_have_url(f"{address}/run?run={NAME}")
        page.screenshot(path=tmp_path / "run.png")
        page.set_viewport_size({"width": 420, "height": 4400})
        page.goto(f"{address}/run?run={NAME}")
        expect(page.get_by_text(VERDICT)).to_be_visible()
        settle(page)
        assert fits(page)
        page.screenshot(path=tmp_path / "run-narrow.png")
        expect(page.get_by_text(MARK).first).to_be_visible()
        assert MARK not in addresses(page)
        assert elsewhere(seen, address) == []
        assert console(seen) == []


def test_a_link_shows_the_tokens_of_a_response_in_colour_and_each_can_be_chosen(
    chromium: Browser, runs: Path, tmp_path: Path
):
    with (
        dashboard(runs, tmp_path / "log.txt") as address,
        browser(chromium, height=TALL) as (page, seen),
    ):
        page.goto(f"{address}/attributions?run={NAME}&response=p31-a0")
        expect(tokens(page)).to_have_count(4)
        settle(page)
        assert tokens(page).all_text_contents() == ["<img", HOSTILE, "↵\n", "</s>"]
        expect_coloured(page, [False, True, True, False])
        component = page.locator(":has(> .tokens)")
        expect(component.first).to_be_visible()
        expect(component.locator("img, a")).to_have_count(0)
        assert MARK not in addresses(page)
        tokens(page).nth(2).hover()
        about = page.locator(".about").filter(visible=True)
        expect(about).to_contain_text("paid for: -0.500 nats")
        page.screenshot(path=tmp_path / "tokens.png")
        page.get_by_role("radio", name="value gained").click()
        expect_coloured(page, [False, True, False, False])
        settle(page)
        assert "colour=value_gained" in page.url
        tokens(page).nth(2).click()
        expect(page.locator(".marked")).to_have_text("↵")
        page.locator(".marked").press("ArrowLeft")
        page.keyboard.press("Enter")
        expect(page.locator(".marked")).to_have_text(HOSTILE)
        expect(page.get_by_role("heading", name="The chosen token")).to_be_visible()
        settle(page)
        assert "token=1" in page.url
        assert MARK not in addresses(page)
        assert elsewhere(seen, address) == []
        assert console(seen) == []


FEW = {"Prompts, at most": "20", "Answers to each, of each policy": "2"}


def test_an_audit_is_started_by_the_form_and_seen_to_finish(chromium: Browser, tmp_path: Path):
    runs = tmp_path / "runs"
    runs.mkdir()
    with (
        dashboard(runs, tmp_path / "log.txt") as address,
        browser(chromium) as (page, seen),
    ):
        page.goto(address)
        expect(page.get_by_text("There is no run yet")).to_be_visible()
        page.get_by_text("Start an audit", exact=True).click()
        expect(page.get_by_label("Seed")).to_be_visible()
        for name, value in FEW.items():
            page.get_by_label(name).fill(value)
            page.get_by_label(name).press("Tab")
            expect(page.get_by_label(name)).to_have_value(value)
        page.screenshot(path=tmp_path / "form.png")
        page.get_by_role("button", name="Start", exact=True).click()
        working = page.get_by_text(": working")
        expect(working).to_be_visible()
        page.screenshot(path=tmp_path / "working.png")
        expect(working).to_have_count(0, timeout=1000 * AUDIT_SECONDS)
        expect(page.get_by_text("Newest first")).to_be_visible()
        expect(cell(page, "finished")).to_have_count(1)
        settle(page)
        page.screenshot(path=tmp_path / "finished.png")
        (run,) = runs.glob("audit-*")
        assert (run / "report.html").is_file()
        click_first_row(page, OPEN_PIXELS)
        for said in ("Objective: ", "What stands against it"):
            expect(page.get_by_text(said).first).to_be_visible()
        settle(page)
        assert console(seen) == []


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


def test_scripts_turned_text_and_endless_words_are_text_that_fits(
    chromium: Browser, tmp_path: Path
):
    runs = tmp_path / "runs"
    spoil(write_audit(runs, NAME))
    with (
        dashboard(runs, tmp_path / "log.txt") as address,
        browser(chromium, height=TALL) as (page, seen),
    ):
        page.goto(f"{address}/attributions?run={NAME}&response=p1-a0")
        expect(tokens(page)).to_have_count(4)
        settle(page)
        shown = tokens(page).all_text_contents()
        assert shown[0] == "<script>"
        assert shown[1].startswith("\\u202eww")
        page.screenshot(path=tmp_path / "spoilt.png")
        assert fits(page)
        page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
        for title in walk(page):
            assert fits(page), title
            assert page.title() != "spoilt"
        assert elsewhere(seen, address) == []
