"""The page about drift, without a browser."""

from pathlib import Path

from streamlit.testing.v1 import AppTest

from dashboard.widgets import run_choice
from tests.dashboard.samples import MARK, audit_report, write_audit, write_report

SECONDS = 60


def drift_page() -> None:
    from dashboard.views import drift

    drift.render()


def page(**query: str) -> AppTest:
    asked = AppTest.from_function(drift_page, default_timeout=SECONDS)
    for name, value in query.items():
        asked.query_params[name] = value
    asked.run()
    assert not asked.exception
    return asked


def test_without_audits_the_page_says_so(root: Path):
    assert "no audit yet" in page().info[0].value


def test_drift_is_shown_by_response_position_token_and_prompt(root: Path):
    write_audit(root, "good")
    shown = page(run="good")
    assert [one.value for one in shown.subheader] == [
        "Response by response",
        "By position",
        "Tokens that moved",
        "By prompt",
    ]
    assert len(shown.get("plotly_chart")) == 3
    assert len(shown.metric) == 4
    prompts = shown.dataframe[0].value
    assert list(prompts["kl_nats"]) == sorted(prompts["kl_nats"], reverse=True)
    for kind in (shown.markdown, shown.caption, shown.title, shown.subheader):
        assert MARK not in " ".join(one.value for one in kind)


def test_an_audit_without_answers_has_its_figures_and_says_what_is_missing(root: Path):
    write_report(root, "bare", audit_report("bare").to_json())
    shown = page(run="bare")
    assert len(shown.metric) == 4
    assert [one.value for one in shown.text] == ["This run has no responses.parquet."] * 2


def test_the_run_stays_the_same_from_page_to_page_and_stands_in_the_url(root: Path):
    write_audit(root, "one")
    write_audit(root, "other")
    asked = AppTest.from_function(drift_page, default_timeout=SECONDS)
    asked.session_state[run_choice.LAST] = "one"
    asked.run()
    assert asked.query_params["run"] == "one"
    assert asked.selectbox[0].value == "one"
