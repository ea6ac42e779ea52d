"""The page that holds audits side by side, without a browser."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.dashboard.samples import MARK, audit_report, term, write_audit, write_report
from tests.dashboard.shown import drawn

pytestmark = pytest.mark.slow


def page(run: str | None = None, *others: str) -> AppTest:
    asked = {"run": run, "with": list(others)}
    return drawn("compare", **{name: value for name, value in asked.items() if value})


def test_one_audit_is_not_enough(root: Path):
    write_audit(root, "one")
    assert "Two audits are needed" in page().info[0].value


def test_the_url_names_what_is_held_against_what(root: Path):
    write_audit(root, "one")
    other = audit_report("other").model_copy(update={"terms": [term("stupid", 4.2)]})
    write_report(root, "other", other.model_dump(mode="json", by_alias=True))
    assert "Choose another audit" in page("one").info[0].value
    shown = page("one", "other", "gone", "one")
    assert shown.multiselect[0].value == ["other"]
    verdicts, figures, terms, _ = (one.value for one in shown.dataframe)
    assert list(verdicts["audit"]) == ["one", "other"]
    assert not figures["apart"].any()
    assert (terms["name"][0], terms["apart"][0]) == ("stupid", True)
    assert terms["run 1"][0].startswith("4.200 (3.700 to 4.700")
    assert len(shown.get("plotly_chart")) == 1
    for kind in (shown.markdown, shown.caption, shown.title, shown.subheader, shown.warning):
        assert MARK not in " ".join(one.value for one in kind)


def test_another_reference_is_warned_of(root: Path):
    write_audit(root, "one")
    report = audit_report("other").model_dump(mode="json", by_alias=True)
    report["pair"]["reference"]["sha256"] = "1" * 64
    write_report(root, "other", report)
    assert "different references" in page("one", "other").warning[0].value
