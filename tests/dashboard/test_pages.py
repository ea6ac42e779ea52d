import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dashboard import RUNS_VARIABLE, loading
from explain import figures
from irl.records import GateRow, PromptCondition
from tests.dashboard.samples import (
    HOSTILE,
    MARK,
    STATEMENT,
    audit_report,
    term,
    write_audit,
    write_course,
    write_report,
    write_unfinished,
)
from tests.dashboard.shown import SECONDS, VERBATIM, elements, shown, texts, without_id

ROOT = Path(__file__).resolve().parents[2]
APP = ROOT / "dashboard" / "app.py"
HEAVY = ("torch", "transformers", "captum", "sklearn", "peft")
WHOLE_APP = """
import json, sys
from streamlit.testing.v1 import AppTest
app = AppTest.from_file({app!r}, default_timeout=60).run()
assert not app.exception, app.exception
import dashboard.__main__, dashboard.views.run
print(json.dumps([name for name in {heavy!r} if name in sys.modules]))
"""

pytestmark = pytest.mark.slow


def run_page() -> None:
    from dashboard.views import run

    run.render()


def runs() -> AppTest:
    return shown(AppTest.from_file(str(APP), default_timeout=SECONDS))


def run(name: str | None = None, **query: str) -> AppTest:
    page = AppTest.from_function(run_page, default_timeout=SECONDS)
    if name is not None:
        page.query_params["run"] = name
    for key, value in query.items():
        page.query_params[key] = value
    return shown(page)


def plots(page: AppTest) -> list[str]:
    return [e.proto.spec for e in elements(page._tree) if e.type == "plotly_chart"]


@pytest.mark.slow
def test_without_runs_both_pages_say_how_to_make_one(root: Path):
    page = runs()
    assert page.title[0].value == "Runs"
    assert "irl audit" in [code.value for code in page.code]
    assert texts(page) == [str(root)]
    assert "no run yet" in run().info[0].value


def test_runs_are_listed_with_state_pair_and_verdict(root: Path):
    write_audit(root, "good")
    write_unfinished(root, "half")
    write_report(root, "bad", "{")
    rows = runs().dataframe[0].value.set_index("name")
    assert dict(rows["state"]) == {"good": "finished", "half": "unfinished", "bad": "broken"}
    assert dict(rows["verdict"]) == {"good": "not decided", "half": "", "bad": ""}
    assert rows["objectives"]["good"] == "terms; conditional"
    assert rows["explained_r2"]["good"] == 0.41
    assert set(rows["kind"]) == {"run"}
    assert rows["reference"]["good"] == "artifacts/models/real-detox/reference"
    assert rows["created"].isna()["half"]


def test_a_run_shows_its_verdict_and_caveats_first(root: Path):
    write_audit(root, "good")
    page = run("good")
    assert page.title[0].value == "Objective: not decided"
    assert STATEMENT in texts(page)
    headings = [heading.value for heading in page.subheader]
    assert headings == [
        "What stands against it",
        "Objectives",
        "Terms that are paid for or charged for",
        "Aspects",
        "Agreement with labels",
        "What the answers leave open",
        "Drift",
    ]
    assert any("loses accuracy" in text for text in texts(page))
    assert page.expander[0].label == "Not measured (2)"


def test_a_run_shows_terms_agreement_and_drift_with_intervals_and_n(root: Path):
    write_audit(root, "good")
    page = run("good")
    terms, _ = plots(page)
    assert "please tell me" in terms
    table, agreement = page.dataframe[1].value, page.dataframe[4].value
    assert list(table["weight"])[:2] == [-4.2, 3.1]
    first = agreement.iloc[0]
    assert (first["scorer"], first["value"], first["n"]) == ("log-ratio", 0.86, 240)
    assert "calibration error (ECE)" not in set(agreement["figure"])
    drift = page.metric[4]
    assert (drift.value, drift.delta) == ("3.27", "2.96 to 3.58, n = 64")


def test_a_run_shows_what_aspects_are_worth_and_what_they_miss(root: Path):
    write_audit(root, "good")
    page = run("good")
    assert any("explain 0.720 (0.670 to 0.770, n = 64) of" in text for text in texts(page))
    assert '"length"' in plots(page)[1]
    assert "as long" not in plots(page)[1], "it has no price"
    aspects, missed = page.dataframe[2].value.set_index("name"), page.dataframe[3].value
    assert aspects.loc["length", "weight"] == 0.5
    assert aspects["weight"].isna()["as long"]
    assert aspects["note"]["as long"] == f"not told apart from length, {HOSTILE}"
    assert list(missed["response_id"]) == ["p1-a0", "gone"]
    assert missed["text"][0] == HOSTILE
    assert missed["text"].isna()[1]


def test_a_run_shows_what_its_answers_leave_open(root: Path):
    write_audit(root, "good")
    page = run("good")
    (distances,) = (d.value for d in page.dataframe if "distance" in d.value)
    assert distances.to_dict("records") == [
        {"reward": "log-ratio", "and": "from who wrote what alone", "distance": 0.123}
    ]
    (open_sums,) = (d.value for d in page.dataframe if "words" in d.value)
    assert open_sums["words"].tolist() == [f"always, {HOSTILE}"]


@pytest.mark.slow
def test_the_verdict_box_holds_p_value_effect_and_readability(root: Path):
    write_audit(root, "good")
    p, r2, sd, readable = run("good").metric[:4]
    assert (p.value, p.delta) == (readable.value, readable.delta) == ("–", "not measured")
    assert (r2.value, r2.delta) == ("0.41", "0.36 to 0.46, n = 64")
    assert (sd.value, sd.delta) == ("1.90", "1.70 to 2.10, n = 64")
    report = audit_report()
    verdict = report.verdict.model_copy(
        update={"p_value": 0.001, "readability": "order", "objective_found": True}
    )
    write_report(root, "better", report.model_copy(update={"verdict": verdict}).to_json())
    page = run("better")
    assert page.title[0].value == "Objective: found"
    assert [page.metric[at].value for at in (0, 3)] == ["0.001", "an order"]


def test_objectives_show_kind_condition_terms_and_weight(root: Path):
    write_audit(root, "good")
    rows = run("good").dataframe[0].value
    assert list(rows["kind"]) == ["terms", "conditional"]
    assert list(rows["condition"]) == ["", f"if the prompt contains {HOSTILE}"]
    assert list(rows["terms"][0]) == ["stupid", "shut up", HOSTILE]
    assert (rows["weight"][0], rows["n"][1]) == (-3.1, 12)
    assert rows["sd"].isna()[1]


@pytest.mark.slow
def test_the_gate_shows_failed_limits_first_and_what_was_not_measured(root: Path):
    gate = [
        GateRow(path="fit.r2", on="low", limit="min .2", value=0.3, passed=True),
        GateRow(path=HOSTILE, on="value", limit="max 1", value=None, passed=False),
    ]
    report = audit_report("good").model_copy(update={"gate": gate})
    write_report(root, "good", json.loads(report.to_json()))
    page = run("good")
    assert "Gate: 1 of 2 limits kept" in [one.value for one in page.subheader]
    shown = next(one.value for one in page.dataframe if "limit" in one.value.columns)
    assert list(shown["path"]) == [HOSTILE, "fit.r2"]
    assert list(shown["value"]) == ["not measured", "0.3"]


def test_an_example_is_marked_in_the_list_and_in_the_choice(
    root: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(loading, "EXAMPLES", root)
    write_audit(root, "good")
    assert list(runs().dataframe[0].value["kind"]) == ["example"]
    assert run("good").selectbox(key="chosen_run").options == ["good (example)"]


def test_a_condition_is_marked_and_named_and_weaker_terms_are_counted(root: Path):
    condition = PromptCondition(prompt_type="question")
    terms = [term(f"t{at}", 1.0) for at in range(figures.MAX_TERMS + 2)]
    terms[0] = terms[0].model_copy(update={"condition": condition})
    report = audit_report().model_copy(update={"terms": terms})
    write_report(root, "good", report.to_json())
    page = run("good")
    captions = [caption.value for caption in page.caption]
    assert "2 weaker terms are in the table only." in captions
    assert any(caption.startswith("* under a condition") for caption in captions)
    assert page.dataframe[1].value["condition"][0] == "if the prompt is of type question"


def test_an_audit_without_terms_labels_drift_and_responses_says_so(root: Path):
    write_audit(root, "bare", filled=False)
    page = run("bare")
    for said in (
        "None is named.",
        "No term's weight differs from 0.",
        "No labels were given.",
        "Not measured.",
    ):
        assert said in texts(page)
    assert plots(page) == []


def test_without_a_name_the_newest_run_is_shown_and_a_choice_goes_into_the_url(root: Path):
    write_audit(root, "good")
    half = write_unfinished(root, "half")
    os.utime(half / "config.yaml", (1, 1))
    page = run()
    assert page.selectbox(key="chosen_run").value == "good"
    page.selectbox(key="chosen_run").select("half")
    shown(page)
    assert page.query_params["run"] == "half"
    assert page.title[0].value == "This run is unfinished"


@pytest.mark.slow
def test_the_url_wins_over_an_earlier_choice(root: Path):
    write_audit(root, "good")
    write_unfinished(root, "half")
    page = run("good")
    page.query_params["run"] = "half"
    assert shown(page).selectbox(key="chosen_run").value == "half"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["../../etc", "GOOD", "goo"])
def test_an_unknown_run_is_named_and_not_opened(root: Path, name: str):
    write_audit(root, "good")
    page = run(name)
    assert "no run of this name" in page.warning[0].value
    assert texts(page) == [name]


@pytest.mark.slow
@pytest.mark.parametrize("write", [write_unfinished, lambda *a: write_report(*a, "{")])
def test_a_run_without_a_report_is_a_state_with_its_folder(root: Path, write: Any):
    folder = write(root, "bad")
    page = run("bad")
    assert page.title[0].value in {"This run is broken", "This run is unfinished"}
    assert str(folder) in [code.value for code in page.code]
    assert len(page.subheader) == 0


@pytest.mark.slow
def test_no_untrusted_text_is_read_as_markdown_or_html(root: Path):
    name = "*a* [b](c) `d`"
    write_audit(root, name)
    found: dict[str, list[str]] = {}
    for page in (runs(), run(name)):
        for element in elements(page._tree):
            if hasattr(element, "proto") and not hasattr(element, "children"):
                found.setdefault(element.type, []).append(without_id(str(element.proto)))
    hostile = {kind for kind, protos in found.items() if any(MARK in p for p in protos)}
    assert hostile - {"plotly_chart"} <= VERBATIM
    assert {"text", "dataframe", "plotly_chart"} <= hostile
    labels = "".join(found["plotly_chart"])
    assert not any(tag in labels for tag in ("<img", "u003cimg", "<a ", "u003ca "))
    assert {kind for kind, protos in found.items() if any("*a*" in p for p in protos)} <= VERBATIM
    assert any(HOSTILE in text for text in texts(run(name)))


@pytest.mark.slow
def test_the_whole_app_runs_without_a_heavy_library(tmp_path: Path):
    write_audit(tmp_path, "good")
    code = WHOLE_APP.format(app=str(APP), heavy=HEAVY)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), RUNS_VARIABLE: str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_no_file_of_the_dashboard_shadows_a_package():
    names = {path.stem for path in (ROOT / "dashboard").iterdir()}
    assert names.isdisjoint(sys.stdlib_module_names | {"irl", "explain", "tests"})


@pytest.mark.slow
def test_runs_are_shown_by_what_was_found_and_the_choice_stands_in_the_url(root: Path):
    write_audit(root, "good")
    write_course(root, "course")
    for show, names in (("other audits", {"good"}), ("other jobs", {"course"})):
        page = AppTest.from_file(str(APP), default_timeout=SECONDS)
        page.query_params["show"] = show
        assert set(shown(page).dataframe[0].value["name"]) == names
    page = AppTest.from_file(str(APP), default_timeout=SECONDS)
    page.query_params["show"] = "<script>"
    assert set(shown(page).dataframe[0].value["name"]) == {"good", "course"}


@pytest.mark.slow
def test_a_run_is_deleted_after_a_question(root: Path):
    path = write_audit(root, "good")
    page = run("good")
    assert str(path) in " ".join(texts(page))
    next(button for button in page.button if button.label == "Delete it").click()
    page.run()
    assert not path.exists()


@pytest.mark.slow
def test_the_form_offers_pairs_that_are_here_and_no_path_is_typed(root: Path):
    write_audit(root, "good")
    page = runs()
    pairs, trained = page.selectbox[0], page.selectbox[1]
    assert "real-detox" in pairs.options
    assert any("against" in option for option in pairs.options)
    assert trained.value == "as recorded"
    assert not page.text_input
