"""The page about accuracy, without a browser."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard import measured
from tests.dashboard.samples import MARK, audit_report, write_audit, write_report
from tests.dashboard.shown import drawn, texts

pytestmark = pytest.mark.slow


def page(run: str | None = None) -> AppTest:
    return drawn("accuracy", **({"run": run} if run else {}))


def test_without_audits_the_page_says_so(root: Path):
    assert "no audit yet" in page().info[0].value


def test_labels_curves_odds_lengths_and_wrong_cases_are_shown(root: Path):
    write_audit(root, "good")
    asked = page("good")
    assert [one.value for one in asked.subheader] == [
        "Agreement with labels",
        "Who wrote what",
        "Are its odds right?",
        "By length",
        "Read where it errs",
    ]
    assert len(asked.get("plotly_chart")) == 3
    wrong = asked.dataframe[-1].value
    assert (wrong["margin"] < 0).all()
    assert wrong["margin"].is_monotonic_increasing
    for kind in (asked.markdown, asked.caption, asked.title, asked.subheader):
        assert MARK not in " ".join(one.value for one in kind)


@pytest.mark.parametrize("filled", [True, False])
def test_without_two_answers_to_a_prompt_it_says_so(root: Path, filled: bool):
    if filled:
        write_report(root, "bare", audit_report("bare").to_json())
    else:
        write_audit(root, "bare", filled=False)
    said = " ".join(texts(page("bare")))
    assert ("no responses.parquet" if filled else "no two answers") in said


def test_a_score_that_ranks_by_who_wrote_it_is_always_right(root: Path):
    path = write_audit(root, "good")
    told = measured.told_apart(path, "log_ratio_nats")
    right = [one for one in told.by_length if one is not None]
    assert told.pairs == sum(one.n for one in told.bins)
    assert all(0 <= one.low <= one.value <= one.high <= 1 for one in right)
