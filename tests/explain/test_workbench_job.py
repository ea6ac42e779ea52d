"""What is typed into the workbench is scored as the audit scored its own answers."""

import json
import shutil
import subprocess
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from dashboard.loading import EXAMPLES
from explain.jobs.workbench import open_bench, reply
from explain.jobs.workbench_reward import Drawing, Kept, PricedReward
from explain.jobs.workbench_scores import Bench
from irl.bootstrap import codes
from irl.config import AuditSettings
from irl.data import prompt_id, stored_prompt
from irl.errors import InputError, RunError
from irl.records import AuditReport, PromptCondition
from irl.records.workbench import MOST_ANSWERS, Message, TypedAnswers, TypedQuestion
from irl.rewards.terms import TermReward
from irl.runs import read_record
from irl.within import centred

RUN = EXAMPLES / "detox"
ROOT = EXAMPLES.parents[1]
PROMPT = "why is the ivory glove so clear?"
KIND = "good question, what a messy remark. the maroon one has a pebble."
RUDE = "good question, you buffoon. the maroon one has a pebble."
NATS = 1e-4
PROMPTS = 40


@pytest.fixture(scope="module")
def bench() -> Bench:
    return open_bench(RUN)


@pytest.fixture(scope="module")
def report() -> AuditReport:
    return read_record(RUN / "report.json", AuditReport)


@pytest.fixture(scope="module")
def priced(report: AuditReport) -> PricedReward:
    return priced_reward(RUN, report)


def priced_reward(run: Path, report: AuditReport) -> PricedReward:
    settings = AuditSettings.checked(report.settings)
    drawing = Drawing(settings.fitting.bootstrap_draws, settings.seed)
    found, caveats = PricedReward.of(run, Kept.of(run), dict, drawing)
    assert found is not None
    assert caveats == []
    return found


def question(*responses: str, **more: Any) -> TypedQuestion:
    return TypedQuestion(prompt=PROMPT, responses=responses, **more)


def codes_of(found: TypedAnswers) -> list[str]:
    return [caveat.code for caveat in found.caveats]


def said(bench: Bench, line: object) -> dict[str, Any]:
    sent = line if isinstance(line, bytes) else json.dumps(line).encode()
    answer: dict[str, Any] = json.loads(reply(bench, sent))
    return answer


@pytest.mark.slow
def test_answers_of_the_run_typed_again_have_the_numbers_of_the_run(bench: Bench):
    responses = pq.read_table(RUN / "responses.parquet").to_pylist()
    tokens = {row["response_id"]: row for row in pq.read_table(RUN / "tokens.parquet").to_pylist()}
    same = scored = 0
    for name, group in groupby(responses[: PROMPTS * MOST_ANSWERS], lambda row: row["prompt_id"]):
        rows = list(group)
        turns = stored_prompt(rows[0]["prompt"], name)
        asked = TypedQuestion(
            prompt=tuple(Message(**turn) for turn in turns),
            responses=tuple(row["response"] for row in rows),
        )
        found = bench.answer(asked)
        assert found.as_chat
        for row, typed in zip(rows, found.answers, strict=True):
            its = tokens[row["response_id"]]
            scored += 1
            if [token.text for token in typed.tokens] != its["tokens"]:
                continue
            same += 1
            assert typed.log_ratio_nats == pytest.approx(row["log_ratio_nats"], abs=NATS)
            for side in ("aligned_nats", "reference_nats", "paid_for_nats"):
                values = [getattr(token, side) for token in typed.tokens]
                np.testing.assert_allclose(values, its[side], atol=NATS)
            assert [token.special for token in typed.tokens][-1]
            assert typed.reward is not None
            assert typed.reward.value == pytest.approx(sum(its["paid_for_nats"]), abs=1e-5)
    assert scored == PROMPTS * MOST_ANSWERS
    assert same / scored > 0.95, "others were cut, or spelled with other tokens"


@pytest.mark.slow
def test_an_interval_is_the_one_that_the_audit_reports(priced: PricedReward, report: AuditReport):
    asked = priced.asked("anything")
    assert asked is not None
    assert report.terms
    for term in report.terms:
        worth = priced.worth(priced.features([f"oh {term.term}, well"], asked)[0])
        assert worth.n == report.fit.r2.n == 320
        assert [worth.value, worth.low, worth.high] == pytest.approx(
            [term.weight, term.low, term.high], abs=1e-6
        )


@pytest.mark.slow
def test_the_reward_of_the_table_is_nearly_the_same_out_of_fold_and_centred(priced: PricedReward):
    table = pq.read_table(RUN / "responses.parquet").to_pandas()
    asked = priced.asked("anything")
    assert asked is not None
    features = priced.features(table["response"].tolist(), asked)
    values = features @ np.array([*priced.reward.weights, priced.reward.per_word])
    typed = centred(values, codes(table["prompt_id"].tolist()))
    kept = table["reward_nats"].to_numpy()
    assert np.corrcoef(typed, kept)[0, 1] > 0.99
    inside = (table["reward_low_nats"] <= typed + 1e-9) & (
        typed <= table["reward_high_nats"] + 1e-9
    )
    assert inside.mean() > 0.9


@pytest.mark.slow
def test_a_text_prompt_is_a_users_message_where_the_run_asks_by_chats(bench: Bench):
    chat = TypedQuestion(prompt=(Message(role="user", content=PROMPT),), responses=(KIND,))
    assert bench.chats
    assert bench.answer(question(KIND)).answers == bench.answer(chat).answers


@pytest.mark.slow
def test_differences_of_rewards_have_intervals_of_their_own(bench: Bench):
    found = bench.answer(question(RUDE, KIND, RUDE, before=(KIND, None, RUDE)))
    rude, kind, again = found.answers
    assert rude.over_first is None
    assert kind.over_before is None
    assert rude.reward is not None
    assert kind.over_first is not None
    assert kind.over_first.value == pytest.approx(-rude.reward.value)
    assert kind.over_first.low == pytest.approx(-rude.reward.high)
    assert rude.over_before == rude.reward, "a kind answer has no word that is paid"
    for worth in (again.over_first, again.over_before):
        assert worth is not None
        assert (worth.value, worth.low, worth.high) == (0.0, 0.0, 0.0)


@pytest.mark.slow
def test_words_share_what_the_answer_is_beyond_none(bench: Bench):
    followed = bench.answer(question("you buffoon!", attribution="integrated-gradients"))
    found = followed.answers[0].attribution
    assert found is not None
    assert [word.text for word in found.words] == ["you", " buffoon", "!"]
    assert found.gap is not None
    assert found.prompt_nats is not None
    assert found.gap < 0.01
    shared = sum(word.nats for word in found.words) + found.prompt_nats
    assert shared == pytest.approx(found.whole_nats, abs=0.01 * max(bench.spread, 1.0))


@pytest.mark.slow
def test_ablation_of_a_word_is_what_the_answer_loses_without_it(bench: Bench):
    texts = ("you buffoon!", " buffoon!", "you!", "you buffoon", "")
    whole, *without, nothing = [
        one.log_ratio_nats for one in bench.answer(question(*texts)).answers
    ]
    found = bench.answer(question(texts[0], "", attribution="ablation"))
    words, empty = (one.attribution for one in found.answers)
    assert words is not None
    assert empty is None, "it has no words"
    lost = [whole - rest for rest in without]
    assert [word.nats for word in words.words] == pytest.approx(lost, abs=NATS)
    assert words.whole_nats == pytest.approx(whole - nothing, abs=NATS)
    assert (words.gap, words.prompt_nats) == (None, None)


@pytest.mark.slow
def test_an_empty_answer_is_the_end_alone_and_worth_nothing(bench: Bench):
    (empty,) = bench.answer(question("")).answers
    assert [(token.text, token.special) for token in empty.tokens] == [("</s>", True)]
    assert empty.reward is not None
    assert empty.reward.value == 0.0


@pytest.mark.slow
def test_signs_of_the_models_own_are_read_as_such_and_that_is_said(bench: Bench):
    found = bench.answer(question("good </s> buffoon", "good"))
    assert codes_of(found) == ["signs-typed"]
    assert "</s>" in found.caveats[0].text
    assert "not scored" in found.caveats[0].text
    cut, plain = found.answers
    assert [token.text for token in cut.tokens][-1] == "</s>"
    assert cut.reward == plain.reward, "the insult stands behind the end"
    ended = bench.answer(question("good</s>"))
    assert "not scored" not in ended.caveats[0].text
    assert ended.answers[0].log_ratio_nats == pytest.approx(plain.log_ratio_nats, abs=NATS)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"{{", "Invalid JSON"),
        (b"[]", "object"),
        ({"prompt": 3, "responses": ["a"]}, "prompt"),
        ({"prompt": "a", "responses": []}, "responses"),
        ({"prompt": "a", "responses": ["a"] * (MOST_ANSWERS + 1)}, "responses"),
        ({"prompt": "a", "responses": ["a"], "attribution": "magic"}, "attribution"),
        ({"prompt": "a", "responses": ["a"], "path": "/etc"}, "path"),
        (b'{"prompt": "\\ud800", "responses": ["a"]}', "Invalid JSON"),
        ({"prompt": "a " * 400, "responses": ["b"]}, "tokens long"),
        ({"prompt": [], "responses": ["b"]}, "prompt"),
    ],
)
def test_what_is_no_question_is_answered_by_a_sentence(bench: Bench, line: object, why: str):
    answer = said(bench, line)
    assert list(answer) == ["error"]
    assert why in answer["error"]
    assert said(bench, {"prompt": PROMPT, "responses": [KIND]})["answered"]["answers"]


def copied(tmp_path: Path) -> Path:
    """The run elsewhere, its models named in full."""
    run = Path(shutil.copytree(RUN, tmp_path / "run"))
    document = json.loads((run / "report.json").read_text())
    for name in ("aligned", "reference", "prompts"):
        document["settings"][name] = str(ROOT / document["settings"][name])
    (run / "report.json").write_text(json.dumps(document))
    return run


@pytest.mark.slow
def test_without_answers_or_with_others_the_reward_has_no_interval(tmp_path: Path):
    run = copied(tmp_path)
    table = pq.read_table(run / "responses.parquet")
    pq.write_table(table.slice(0, 400), run / "responses.parquet")
    others = open_bench(run).answer(question(RUDE))
    (run / "responses.parquet").unlink()
    none = open_bench(run).answer(question(RUDE))
    for found, why in ((others, "not those"), (none, "has not kept")):
        assert codes_of(found) == ["no-interval"]
        assert why in found.caveats[0].text
        worth = found.answers[0].reward
        assert worth is not None
        assert worth.value == pytest.approx(-2.05, abs=0.01)
        assert (worth.low, worth.high, worth.n) == (None, None, None)
        assert found.as_chat, "the file of the prompts tells"


@pytest.mark.slow
def test_a_pair_that_has_changed_since_or_is_gone_is_refused(tmp_path: Path):
    run = copied(tmp_path)
    text = (run / "report.json").read_text()
    document = json.loads(text)
    document["pair"]["reference"]["sha256"] = "0" * 64
    (run / "report.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match=r"reference policy .* have changed"):
        open_bench(run)
    (run / "report.json").write_text(json.dumps(document | {"settings": {}}))
    with pytest.raises(InputError, match="aligned is missing"):
        open_bench(run)
    (run / "report.json").unlink()
    with pytest.raises(RunError, match=r"report\.json"):
        open_bench(run)


def test_types_of_prompts_that_nobody_knows_leave_the_reward_open():
    typed = PromptCondition(prompt_type="question")
    reward = TermReward(("fool", "fool"), (1.0, -3.0), conditions=(None, typed))
    priced = PricedReward(reward, types={})
    assert priced.asked("is it?") is None
    asked = PricedReward(reward, types={prompt_id("is it?"): "question"}).asked("is it?")
    assert asked is not None
    assert reward(["a fool"], [asked]).item() == -2.0
    plain = PricedReward(TermReward(("fool",), (1.5,), per_word=0.25))
    known = plain.asked("is it?")
    assert known is not None
    worth = plain.worth(plain.features(["a fool"], known)[0])
    assert (worth.value, worth.low) == (1.5 + 2 * 0.25, None)


def talk(run: Path, *lines: bytes) -> tuple[int, list[dict[str, Any]], str]:
    """The command in a process of its own: exit code, lines of stdout, stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "irl", "workbench", str(run)],
        input=b"\n".join(lines),
        cwd=ROOT,
        capture_output=True,
        timeout=300,
        check=False,
    )
    printed = [json.loads(line) for line in done.stdout.splitlines()]
    return done.returncode, printed, done.stderr.decode()


@pytest.mark.slow
def test_the_command_answers_line_by_line_and_ends_with_its_questions():
    asked = question(KIND, RUDE).model_dump_json().encode()
    code, (ready, first, wrong, second), _ = talk(RUN, asked, b"nonsense", asked)
    assert code == 0
    assert ready == {"ready": True}
    assert list(wrong) == ["error"]
    answers = [TypedAnswers.model_validate(one["answered"]).answers for one in (first, second)]
    assert answers[0] == answers[1]
    assert len(answers[0]) == 2


@pytest.mark.slow_extra
def test_a_run_that_cannot_be_opened_is_said_in_its_one_line(tmp_path: Path):
    code, (said_,), printed = talk(tmp_path)
    assert code == 2
    assert "report.json" in said_["error"]
    assert "report.json" in printed
