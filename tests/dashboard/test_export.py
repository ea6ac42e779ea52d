"""The page that an audit is exported from, without a browser."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard import answers
from dashboard.views import export
from tests.dashboard.samples import MARK, audit_report, write_audit, write_report
from tests.dashboard.shown import drawn

pytestmark = pytest.mark.slow


def page(run: str | None = None) -> AppTest:
    return drawn("export", **({"run": run} if run else {}))


def labels(asked: AppTest) -> list[str]:
    return [one.proto.label for one in asked.get("download_button")]


def test_without_audits_the_page_says_so(root: Path):
    assert "no audit yet" in page().info[0].value


def test_the_page_the_tables_and_the_figures_are_offered(root: Path):
    write_audit(root, "good")
    asked = page("good")
    tables = ["terms", "aspects", "positions", "tokens", "responses"]
    assert labels(asked) == ["report.html", "report.json", *tables]
    assert len(asked.get("plotly_chart")) == 5
    for kind in (asked.markdown, asked.caption, asked.title, asked.subheader):
        assert MARK not in " ".join(one.value for one in kind)


def test_an_audit_without_answers_offers_what_it_has(root: Path):
    write_report(root, "bare", audit_report("bare").to_json())
    asked = page("bare")
    assert "responses" not in labels(asked)
    assert len(asked.get("plotly_chart")) == 4


def test_every_response_is_in_the_table_or_the_command_is_told(
    root: Path, monkeypatch: pytest.MonkeyPatch
):
    path = write_audit(root, "good")
    rows = answers.all_responses(path, export.MOST_ROWS)
    assert [row["response_id"] for row in rows] == [f"p{at}-a0" for at in range(60)]
    monkeypatch.setattr(export, "MOST_ROWS", 59)
    asked = page("good")
    assert "responses" not in labels(asked)
    assert any("irl runs export" in one.value for one in asked.text)
