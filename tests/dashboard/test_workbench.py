"""The workbench: a process of models that is started, asked and freed, and its page."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard import RUNS_VARIABLE, workbench
from dashboard.loading import EXAMPLES
from dashboard.typed import Scored, asked_after, changed_words, edits
from dashboard.widgets.models import bench
from dashboard.workbench import Workbench, missing
from irl.errors import RunError
from irl.records.workbench import TypedAnswer, TypedAnswers, TypedQuestion
from tests.dashboard.samples import HOSTILE, MARK, write_audit, write_course
from tests.dashboard.shown import VERBATIM, component, elements, shown, texts, view, without_id

ROOT = Path(__file__).resolve().parents[2]
RUN = EXAMPLES / "detox"
SECONDS = 240
PROMPT = "why is the ivory glove so clear?"
SHORT = f"<b>{MARK}</b> **no**"
"Hostile, and short enough for the models"
FIRST = "9b87857dbd01-a0"
"The first answer of the run"
KIND = "good question, what a messy remark. the maroon one has a pebble."
RUDE = "good question, you buffoon. the maroon one has a pebble."
HEAVY = ("torch", "transformers", "captum", "sklearn", "peft")
SCORING = """
import json, sys
from streamlit.testing.v1 import AppTest
script = "from dashboard.views import workbench\\nworkbench.render()"
page = AppTest.from_string(script, default_timeout=240)
page.query_params["run"] = "detox"
page.run()
page.button[0].click()
page.run()
assert not page.exception, page.exception
assert len(page.dataframe) == 1, page.text
print(json.dumps([name for name in {heavy!r} if name in sys.modules]))
"""


def question(*responses: str, prompt: str = PROMPT) -> TypedQuestion:
    return TypedQuestion(prompt=prompt, responses=responses)


def scored(asked: TypedQuestion, *nats: float) -> Scored:
    """As if each answer had this log-ratio and nothing else were known."""
    nothing = dict.fromkeys(("reward", "over_first", "over_before", "attribution"))
    answers = [TypedAnswer(tokens=[], log_ratio_nats=one, **nothing) for one in nats]
    return Scored(asked, TypedAnswers(answers=answers, as_chat=False, caveats=[], seconds=0.0))


def test_changed_words_are_told_in_their_places_whatever_the_white_space():
    assert changed_words("what a  messy remark.", " what a messy\nremark.") == []
    assert changed_words(KIND, RUDE) == [("what a messy remark", "you buffoon")]
    assert changed_words("a b c", "a c d") == [("b", ""), ("", "d")]
    assert changed_words("well, yes.", "no... yes.") == [("well,", "no...")]
    assert changed_words("", "a") == [("", "a")]
    assert changed_words("a ", "a") == []


def test_an_answer_is_held_against_what_it_was_to_the_same_prompt():
    last = scored(question("a", "b"), 1.0, 2.0)
    asked = asked_after(question("a", "b!", "c"), last)
    assert asked.before == (None, "b")
    (edit,) = edits(last, scored(asked, 1.0, 2.5, 0.0))
    assert (edit.number, edit.before_nats, edit.now_nats) == (2, 2.0, 2.5)
    assert edit.changes == [("", "!")]
    other = question("a!", "b", prompt="another")
    assert asked_after(other, last).before == ()
    assert edits(last, scored(other, 0.0, 0.0)) == []
    assert asked_after(other, None) == other


def test_checkpoints_that_are_gone_are_named_and_hub_ids_are_not_judged(tmp_path: Path):
    (tmp_path / "models" / "there").mkdir(parents=True)
    run = tmp_path / "runs" / "one"
    run.mkdir(parents=True)
    gone = str(tmp_path / "gone")
    assert missing({"aligned": gone, "reference": "models/there"}, run) == [gone]
    assert missing({"aligned": "a/b/gone", "reference": None}, run) == ["a/b/gone"]
    assert missing({"aligned": "owner/name", "reference": "gpt2"}, run) == []


def folder(root: Path) -> Path:
    """Something that is listed as an audit."""
    return write_audit(root, "good")


def speaking(monkeypatch: pytest.MonkeyPatch, code: str) -> Workbench:
    """A bench whose process runs this code instead of the models."""
    start = subprocess.Popen

    def popen(command: list[str], **more: Any) -> Any:
        return start([sys.executable, "-c", code, *command[1:]], **more)

    monkeypatch.setattr(workbench.subprocess, "Popen", popen)
    return Workbench()


READY = "import json, os, sys, time\nprint('{\"ready\": true}', flush=True)\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import sys; print('first', file=sys.stderr); sys.exit('out of **luck**')", "luck"),
        ("import sys; sys.exit(3)", "exit code 3.*printed nothing"),
        ("print('no JSON', flush=True)", "has ended"),
        ('print(\'{"error": "No such run."}\', flush=True)', "No such run"),
        (READY + "sys.stdin.readline(); sys.exit('it died')", "it died"),
        (READY + "sys.stdin.readline(); print('{\"answered\": 1}', flush=True)", "language"),
        (READY + "time.sleep(99)", "more than 1 seconds"),
    ],
)
def test_what_became_of_the_process_is_said(
    root: Path, monkeypatch: pytest.MonkeyPatch, code: str, why: str
):
    monkeypatch.setattr(workbench, "SCORING_SECONDS", 1.0)
    asked = speaking(monkeypatch, code)
    with pytest.raises(RunError, match=why):
        asked.ask(folder(root), question(KIND))
    asked.free()
    assert asked.held is None


@pytest.mark.slow
def test_nothing_typed_is_on_the_command_line(root: Path, monkeypatch: pytest.MonkeyPatch):
    code = READY + "sys.stdin.readline()\nprint(json.dumps({'error': str(sys.argv)}), flush=True)"
    asked, run = speaking(monkeypatch, code), folder(root)
    with pytest.raises(RunError) as told:
        asked.ask(run, question(HOSTILE))
    assert MARK not in str(told.value)
    assert str(told.value) == str(["-c", "-m", "irl", "workbench", str(run)])
    asked.free()


@pytest.mark.slow
def test_freed_while_it_is_at_work_it_says_so(root: Path, monkeypatch: pytest.MonkeyPatch):
    asked, run = speaking(monkeypatch, READY + "time.sleep(99)"), folder(root)
    threading.Thread(target=lambda: (wait_until(lambda: asked.held), asked.free())).start()
    with pytest.raises(RunError, match="were freed"):
        asked.ask(run, question(KIND))


def wait_until(reached: Any) -> None:
    until = time.monotonic() + SECONDS
    while not reached():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.fixture
def on_the_examples(monkeypatch: pytest.MonkeyPatch, nothing_left: None) -> None:
    """The models that one test has loaded serve the next one too."""
    monkeypatch.setenv(RUNS_VARIABLE, os.fspath(EXAMPLES))
    monkeypatch.chdir(ROOT)
    st.cache_data.clear()


@pytest.fixture(scope="module")
def nothing_left() -> Iterator[None]:
    yield
    st.cache_resource.clear()


def drawn(**query: str) -> AppTest:
    page = view("workbench")
    page.default_timeout = SECONDS
    for key, value in query.items():
        page.query_params[key] = value
    return shown(page)


def score(page: AppTest) -> AppTest:
    next(button for button in page.button if button.label == "Score").click()
    return shown(page)


def captions(page: AppTest) -> str:
    return " ".join(one.value for one in page.caption)


@pytest.mark.slow
@pytest.mark.usefixtures("on_the_examples")
def test_the_models_are_loaded_once_and_freed(tmp_path: Path):
    held = bench()
    run = Path(shutil.copytree(RUN, tmp_path / "copy"))
    first = held.ask(run, question(KIND, RUDE))
    assert held.held == run
    assert (held.memory_bytes or 2**26) > 2**25
    process = held._child._process
    again = held.ask(run, question(KIND, RUDE))
    assert again.answers == first.answers
    assert held._child._process is process
    kind, rude = first.answers
    assert rude.over_first.value == pytest.approx(-2.05, abs=0.01)
    assert kind.log_ratio_nats == pytest.approx(0.63311, abs=1e-4)
    os.utime(run / "manifest.json")
    held.ask(run, question(KIND))
    assert process.poll() is not None, "the run may have been repeated with another pair"
    process = held._child._process
    st.cache_resource.clear()
    assert process.poll() is not None
    assert (held.held, held.memory_bytes) == (None, None)


@pytest.mark.slow
@pytest.mark.usefixtures("on_the_examples")
def test_the_answers_of_the_run_are_scored_edited_and_scored_again():
    bench().free()
    page = drawn(run="detox", response=FIRST)
    fields = {field.label: field.value for field in page.text_area}
    assert list(fields) == ["Prompt", "Answer 1", "Answer 2"]
    assert (fields["Prompt"], fields["Answer 1"]) == (PROMPT, KIND)
    assert fields["Answer 2"]
    assert "No model is in memory" in captions(page)
    score(page)
    (rows,) = (table.value for table in page.dataframe)
    assert list(rows["answer"]) == ["answer 1", "answer 2"]
    assert rows["log_ratio"][0] == pytest.approx(0.63311, abs=1e-4)
    assert list(rows["reward"]) == ["0: none of its words is paid"] * 2
    assert rows["reward_over"][1] == "0: the same is paid"
    assert rows["tokens"][0] == 16
    assert "The audit gave answer 1 +0.63 nats, as here." in captions(page)
    assert "over 320 prompts" in captions(page)
    assert any(text.startswith("In memory: the pair of detox") for text in texts(page))
    tokens = component(page)
    assert tokens is not None
    assert [one[0] for one in tokens["tokens"]][-1] == "</s>"
    page.text_area[1].set_value(RUDE)
    score(page)
    _, changed = (table.value for table in page.dataframe)
    assert list(changed["answer"]) == ["answer 1"]
    assert changed["words"][0] == "what a messy remark → you buffoon"
    assert changed["before"][0] == pytest.approx(0.63311, abs=1e-4)
    assert changed["reward"][0].startswith("-2.05 (-2.26 to -1.89)")
    page.text_area[0].set_value("what do you think?")
    score(page)
    assert any("each has an unknown constant" in text for text in texts(page))
    assert list(page.dataframe[1].value["answer"]) == ["answer 2 over answer 1"]
    process = bench()._child._process
    next(button for button in page.button if button.label == "Free the models").click()
    shown(page)
    assert process.poll() is not None
    assert "No model is in memory" in captions(page)


@pytest.mark.slow_extra
@pytest.mark.usefixtures("on_the_examples")
def test_what_is_chosen_stands_in_the_url_and_what_is_typed_does_not():
    page = drawn(run="detox", answers="1", method="none")
    assert [field.label for field in page.text_area] == ["Prompt", "Answer 1"]
    page.text_area[1].set_value(HOSTILE)
    score(page)
    assert dict(page.query_params) == {"run": "detox", "answers": "1", "method": "none"}
    page.button_group(key="typed_answers").set_value("3")
    shown(page)
    assert page.query_params["answers"] == "3"
    assert len(page.text_area) == 4
    page.button_group(key="typed_answers").set_value("2")
    assert "answers" not in shown(page).query_params


@pytest.mark.slow
@pytest.mark.usefixtures("on_the_examples")
def test_words_are_coloured_by_what_a_method_gives_them():
    page = drawn(run="detox", answers="1", colour="ablation")
    page.text_area[1].set_value("you buffoon!")
    score(page)
    given = component(page)
    assert given is not None
    assert [token[0] for token in given["tokens"]] == ["you", " buffoon", "!"]
    assert given["high"].endswith("nats, ablation")
    assert "What the log-ratio loses without each word" in captions(page)


@pytest.mark.slow
@pytest.mark.usefixtures("on_the_examples")
def test_no_typed_text_is_read_as_markdown_or_html():
    page = drawn(run="detox", answers="1", method="none")
    for text in ("well", SHORT):
        page.text_area[1].set_value(text)
        score(page)
    found: dict[str, list[str]] = {}
    for element in elements(page._tree):
        if hasattr(element, "proto") and not hasattr(element, "children"):
            found.setdefault(element.type, []).append(without_id(str(element.proto)))
    hostile = {kind for kind, protos in found.items() if any(MARK in p for p in protos)}
    assert hostile == {"dataframe"}, "and the fields, whose text the browser keeps"
    assert hostile <= VERBATIM


@pytest.mark.slow
def test_without_an_audit_the_page_says_what_makes_one(root: Path):
    write_course(root, "course")
    assert "There is no audit yet" in drawn().info[0].value


@pytest.mark.slow
def test_an_audit_whose_models_are_gone_says_which(root: Path):
    run = write_audit(root, "good")
    document = json.loads((run / "report.json").read_text())
    document["settings"] = {"aligned": "no/such/*model*", "reference": "gpt2"}
    (run / "report.json").write_text(json.dumps(document))
    page = drawn(run="good")
    assert "not at hand" in page.info[0].value
    assert texts(page) == ["no/such/*model*"]
    assert not page.text_area


@pytest.mark.slow
def test_a_score_that_fails_is_said_and_the_fields_stay(
    root: Path, monkeypatch: pytest.MonkeyPatch
):
    def ask(*_: object) -> None:
        raise RunError(HOSTILE)

    monkeypatch.setattr(Workbench, "ask", ask)
    write_audit(root, "good")
    page = drawn(run="good", response="nobody")
    assert "responses.parquet has no response of this id." in texts(page)
    page.text_area[1].set_value("my words")
    score(page)
    assert HOSTILE in texts(page)
    assert page.text_area[1].value == "my words"


@pytest.mark.slow_extra
def test_scoring_loads_no_heavy_library_into_the_dashboard():
    done = subprocess.run(
        [sys.executable, "-c", SCORING.format(heavy=HEAVY)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), RUNS_VARIABLE: str(EXAMPLES)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == []
