"""series.html in a real browser, with hostile names. Screenshots stay in tmp_path."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from explain.series_page import render_series
from irl.records import Checkpoint, Estimate, SeriesCheckpoint, SeriesReport, SeriesRow
from tests.browser.chromium import browser, fits
from tests.browser.test_report import assert_blocks_scripts, expect_drawn
from tests.explain.test_report import HOSTILE

TERMS = (HOSTILE, "fool", "you are", "oaf")
COUNTS = {"prompts": 9, "responses": 72, "truncated_responses": 0, "refused_rows": 0}


def hostile_series() -> SeriesReport:
    policy = Checkpoint(source=HOSTILE, sha256="0" * 64, dtype="float32", n_parameters=1)
    names = [f"{HOSTILE} {at}" for at in range(4)]
    measures = [
        *[(measure, "") for measure in ("sequence_kl_nats", "reverse_sequence_kl_nats")],
        *[(measure, "") for measure in ("token_kl_nats", "fit_r2", "word_weight_nats")],
        *[("token_entropy_nats", side) for side in ("aligned", "reference")],
        *[("length_words", side) for side in ("aligned", "reference")],
        *[("term_weight_nats", term) for term in TERMS],
    ]
    rows = [
        SeriesRow(
            checkpoint=name,
            order=at,
            measure=measure,
            name=whose,
            estimate=Estimate(value=at, low=at - 0.5, high=at + 0.5, n=9) if at else None,
        )
        for at, name in enumerate(names)
        for measure, whose in measures
    ]
    return SeriesReport(
        schema="irl.series/1",
        run_id="drift-0123456789",
        created="2026-01-01T00:00:00+00:00",
        versions={"torch": "2"},
        settings={"aligned": [HOSTILE]},
        reference=policy,
        checkpoints=[
            SeriesCheckpoint(name=name, order=at, policy=policy, counts=COUNTS)
            for at, name in enumerate(names)
        ],
        terms=list(TERMS),
        rows=rows,
        caveats=[],
        timings_seconds={"sampling": 1.0},
        peak_memory_bytes=1,
    )


@pytest.mark.browser
def test_the_page_of_a_series_draws_and_prints_under_its_own_policy(
    chromium: Browser, tmp_path: Path
):
    file = tmp_path / "series.html"
    file.write_text(render_series(hostile_series()), encoding="utf-8")
    with browser(chromium) as (page, seen):
        for width in (1280, 420):
            page.set_viewport_size({"width": width, "height": 900})
            page.goto(file.as_uri())
            expect_drawn(page)
            page.screenshot(path=tmp_path / f"series-{width}.png")
            assert fits(page)
        assert page.pdf(format="A4", print_background=True).startswith(b"%PDF")
        assert seen.errors() == []
        assert set(seen.requested()) == {file.as_uri()}
        assert_blocks_scripts(page)
