"""The page of responses, token by token, without a browser."""

import os
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.queries import Wanted
from irl.records import AuditReport
from tests.dashboard.samples import HOSTILE, MARK, audit_report, write_audit, write_course
from tests.dashboard.shown import (
    SECONDS,
    VERBATIM,
    component,
    elements,
    shown,
    texts,
    without_id,
)
from tests.explain.parts import explanations

pytestmark = pytest.mark.slow


def attributions_page() -> None:
    from dashboard.views import attributions

    attributions.render()


def attributions(name: str | None = None, **query: str) -> AppTest:
    page = AppTest.from_function(attributions_page, default_timeout=SECONDS)
    for key, value in ({"run": name} | query if name else query).items():
        page.query_params[key] = value
    return shown(page)


def test_without_responses_the_page_says_what_makes_them(root: Path):
    write_course(root, "course")
    assert "No finished run has responses" in attributions().info[0].value


def test_responses_are_turned_filtered_and_ordered(root: Path):
    write_audit(root, "good")
    page = attributions("good")
    assert list(page.dataframe[-1].value["log_ratio_nats"]) == list(range(15))
    page.pagination[0].set_value(2)
    shown(page)
    assert page.dataframe[-1].value["log_ratio_nats"].iloc[0] == 15
    page.selectbox(key="chosen order").set_value("log-ratio, high to low")
    shown(page)
    assert page.dataframe[-1].value["log_ratio_nats"].iloc[0] == 59
    page.button_group(key="chosen source").set_value("reference")
    shown(page)
    assert dict(page.query_params) == {
        "run": "good",
        "order": "log-ratio, high to low",
        "source": "reference",
    }
    assert set(page.dataframe[-1].value["source"]) == {"reference"}


def test_the_response_in_the_url_is_shown_token_by_token(root: Path):
    write_audit(root, "good")
    page = attributions("good", response="p31-a0")  # on another page of the table
    assert f"What do you think, number 31? {HOSTILE}" in [code.value for code in page.code]
    given = component(page)
    assert given is not None
    assert [token[0] for token in given["tokens"]] == ["<img", HOSTILE, "↵\n", "</s>"]
    assert given["high"].endswith("paid for")
    assert {"p31-a0", "aligned", "+31.00", "-31.00 (-31.00 to -31.00)"} <= set(texts(page))


def test_the_colour_comes_from_the_url_and_goes_there(root: Path):
    write_audit(root, "good")
    page = attributions("good", response="p31-a0", colour="value_gained")
    given = component(page)
    assert given is not None
    assert given["high"].endswith("value gained")
    page.button_group(key="chosen colour").set_value("paid_for")
    shown(page)
    assert dict(page.query_params) == {"run": "good", "response": "p31-a0"}
    page.button_group(key="chosen colour").set_value("value_gained")
    assert shown(page).query_params["colour"] == "value_gained"


def test_the_row_of_the_response_is_marked_and_without_one_nothing_is_shown(root: Path):
    write_audit(root, "good")
    key = f"page of good, {Wanted()}, as written, 1"
    page = attributions("good", response="p2-a0")
    assert page.session_state[key] == {"selection": {"rows": [2]}}
    page = attributions("good")
    assert page.session_state[key] == {"selection": {"rows": []}}
    assert component(page) is None


def test_another_run_drops_the_response(root: Path):
    write_audit(root, "good")
    write_audit(root, "other")
    page = attributions("good", response="p31-a0")
    page.selectbox(key="chosen_run").select("other")
    assert dict(shown(page).query_params) == {"run": "other"}


def test_an_unknown_response_is_said_and_not_shown(root: Path):
    write_audit(root, "good")
    page = attributions("good", response=f"*{HOSTILE}*")
    assert "responses.parquet has no response of this id." in texts(page)
    assert component(page) is None


@pytest.mark.parametrize("broken", [None, "no parquet"], ids=["missing", "damaged"])
def test_without_tokens_the_response_is_shown_in_full_and_verbatim(root: Path, broken: str | None):
    file = write_audit(root, "good") / "tokens.parquet"
    file.unlink() if broken is None else file.write_text(broken)
    page = attributions("good", response="p1-a0")
    assert [code.value for code in page.code] == [
        f"What do you think, number 1? {HOSTILE}",
        HOSTILE,
    ]
    assert component(page) is None
    assert any("tokens.parquet" in text for text in texts(page))


def test_what_is_looked_for_stands_in_the_url_and_is_only_compared(root: Path):
    write_audit(root, "good")
    page = attributions("good", find="NUMBER 31?")
    assert list(page.dataframe[0].value["response_id"]) == ["p31-a0"]
    for pattern in ("%", "' OR 1=1 --", "number ."):
        assert len(attributions("good", find=pattern).dataframe[0].value) == 0
    page.text_input[0].set_value("garden")
    assert shown(page).query_params["find"] == "garden"
    assert set(page.dataframe[0].value["response"].str.contains("garden")) == {True}


def test_other_answers_to_the_prompt_stand_beside_it_whoever_gave_them(root: Path):
    write_audit(root, "good")
    page = attributions("good", response="p31-a0")
    components = [e for e in elements(page._tree) if e.type == "bidi_component"]
    assert len(components) == 3  # prompt 11: answers 11, 31 and 51
    assert {"log-ratio +11.00 nats", "log-ratio +51.00 nats"} <= set(texts(page))


def test_no_answer_is_read_as_markdown_or_html(root: Path):
    write_audit(root, "good")
    found: dict[str, list[str]] = {}
    for element in elements(attributions("good", response="p1-a0", find=MARK)._tree):
        if hasattr(element, "proto") and not hasattr(element, "children"):
            found.setdefault(element.type, []).append(without_id(str(element.proto)))
    hostile = {kind for kind, protos in found.items() if any(MARK in p for p in protos)}
    assert {"bidi_component", "dataframe"} < hostile
    assert hostile - {"bidi_component", "text_input"} <= VERBATIM


def test_what_a_full_audit_explains_stands_below_and_else_what_adds_it(root: Path):
    path = write_audit(root, "good")
    page = attributions("good", part="explanations")
    assert any("irl audit --full adds" in one.value for one in page.caption)
    report = audit_report("good").model_dump(mode="json", by_alias=True)
    full = AuditReport.model_validate(report | {"explanations": explanations(HOSTILE)})
    (path / "report.json").write_text(full.to_json(), encoding="utf-8")
    os.utime(path / "report.json", ns=(1, 1))
    page = attributions("good", part="explanations")
    headings = [one.value for one in page.subheader]
    for heading in ("Maps of words", "Concepts: directions", "Probes: one thing", "May this rew"):
        assert any(one.startswith(heading) for one in headings)
    methods, concepts, probes, signals = (one.value for one in page.dataframe[-4:])
    assert list(signals["light"]) == ["red", "red"]
    assert methods["lost without"].str.contains("random").all()
    assert list(concepts["concept"]) == [HOSTILE] * len(concepts)
    assert list(probes["edit"]) == [HOSTILE] * len(probes)
    for kind in (page.markdown, page.caption, page.title, page.subheader):
        assert MARK not in " ".join(one.value for one in kind)
