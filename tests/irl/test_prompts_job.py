"""`irl prompts`: logs in, choices out; held-out queries, refusals, rewards with a free constant."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from irl.config import Loading
from irl.data.prompt_logs import read_candidates, read_prompt_log, read_queries
from irl.errors import InputError
from irl.jobs.absolute_reward import LABELS, absolute_reward
from irl.jobs.prompt_log import Trials, predicted, read
from irl.jobs.prompts import choose_prompts
from irl.jobs.prompts_settings import PromptsSettings
from irl.organisms.prompted import PROMPTS, TABLES, queries
from irl.rewards.features import WordCounts
from irl.rewards.head_reward import HeadReward
from irl.rewards.heads import Layers, linear
from irl.rewards.terms import TermReward
from tests import fakes

FAST = {"seeds": (0, 1), "epochs": 12, "learning_rate": 0.1, "patience": 4}


def write(file: Path, rows: list[dict[str, Any]]) -> str:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(file)


def certain(n: int = 24) -> list[dict[str, Any]]:
    """Sums want steps, songs want brevity, always."""
    kinds = (("add", "steps"), ("sing", "brief"))
    return [
        {"query": f"{verb} number {at}", "prompt": prompt, "outcome": float(prompt == best)}
        for at in range(n)
        for verb, best in [kinds[at % 2]]
        for prompt in ("steps", "brief", "never")
    ]


def settings(log: str, **more: Any) -> PromptsSettings:
    return PromptsSettings.checked({"log": log, "learning": FAST, **more})


# Reading


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"query": "a", "prompt": "b", "outcome": 1.2}, "outcome is 1.2, not a number from 0 to 1"),
        ({"query": "a", "prompt": "b", "outcome": "x"}, "outcome is 'x', not a number"),
        ({"query": "a", "prompt": "b", "outcome": None}, "outcome is None, not a number"),
        ({"query": "a", "prompt": "b", "outcome": float("nan")}, "outcome is nan"),
        ({"query": None, "prompt": "b", "outcome": 1}, "query is null, not text"),
        ({"query": "a", "outcome": 1}, "prompt is missing"),
    ],
)
def test_rows_that_cannot_be_used_are_refused_with_line_and_reason(
    row: dict[str, Any], reason: str, tmp_path: Path
):
    good = {"query": "q", "prompt": "p", "outcome": 0.5}
    found = read_prompt_log(write(tmp_path / "log.jsonl", [good, row]))
    assert [one.outcome for one in found.rows] == [0.5]
    assert [one.line for one in found.refused] == [2]
    assert reason in found.refused[0].reason


def test_a_log_without_its_columns_or_usable_rows_is_one_sentence(tmp_path: Path):
    with pytest.raises(InputError, match=re.escape("query+prompt+outcome")):
        read_prompt_log(write(tmp_path / "a.jsonl", [{"query": "q", "prompt": "p"}]))
    bad = [{"query": "q", "prompt": "p", "outcome": 7}]
    with pytest.raises(InputError, match=r"no usable row.*outcome is 7"):
        read_prompt_log(write(tmp_path / "b.jsonl", bad))


def test_queries_and_candidates_are_named_once(tmp_path: Path):
    file = write(tmp_path / "q.jsonl", [{"query": "a"}, {"query": "a"}, {"query": "b"}])
    found = read_queries(file)
    assert [one.text for one in found.rows] == ["a", "b"]
    assert found.refused[0].reason == "same query as line 1"
    with pytest.raises(InputError, match="has no rows"):
        read_candidates(write(tmp_path / "none.jsonl", []))


def test_one_prompt_or_few_queries_leave_nothing_to_choose(tmp_path: Path):
    single = [row for row in certain() if row["prompt"] == "steps"]
    with pytest.raises(InputError, match="1 candidate prompt, so there is nothing"):
        choose_prompts(settings(write(tmp_path / "a.jsonl", single)), tmp_path / "run")
    with pytest.raises(InputError, match=r"outcomes of 2 queries.* at least 5"):
        choose_prompts(settings(write(tmp_path / "b.jsonl", certain(2))), tmp_path / "run")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "either --log, or --policy"),
        ({"log": "a", "policy": "b"}, "either --log, or --policy"),
        ({"log": "a", "reward": "b"}, "give --policy as well"),
        ({"policy": "a"}, "needs --reward"),
        ({"policy": "a", "reward": "b"}, "needs --queries"),
    ],
)
def test_settings_that_do_not_go_together(given: dict[str, Any], words: str):
    with pytest.raises(InputError, match=words):
        PromptsSettings.checked(given)


# Choosing from a log


@pytest.mark.slow
def test_the_head_finds_what_depends_on_both_and_one_prompt_cannot(tmp_path: Path):
    log = write(tmp_path / "log.jsonl", certain())
    new = write(tmp_path / "new.jsonl", [{"query": "sing number 3"}, {"query": "add number 2"}])
    done = choose_prompts(settings(log, fitting={"min_responses": 3}), tmp_path / "run")
    found = {one.method: one for one in done.report.methods}
    assert all(one.regret is not None and one.regret.value >= 0 for one in found.values())
    assert found["head"].regret.value == 0
    assert found["best single prompt"].regret.value >= 0.5
    assert found["random"].regret.value == pytest.approx(2 / 3)
    assert found["oracle"].regret.value == 0
    assert found["head"].worst_regret.value == 0
    assert done.report.advice == "per query"
    assert done.report.judged_queries == 24
    assert done.report.prompts[-1].prompt == "never"
    asked = choose_prompts(
        settings(log, queries=new, fitting={"min_responses": 3}), tmp_path / "asked"
    )
    table = pq.read_table(asked.run.path / "choices.parquet").to_pylist()
    chosen = {row["query"]: row["advised_prompt"] for row in table}
    assert chosen == {"sing number 3": "brief", "add number 2": "steps"}
    for row in table:
        assert row["best_low"] <= row["best_value"] <= row["best_high"]
    again = choose_prompts(settings(log, fitting={"min_responses": 3}), tmp_path / "run")
    assert again.was_finished
    assert again.report == done.report


@pytest.mark.slow
def test_where_one_prompt_is_best_for_all_it_is_advised(tmp_path: Path):
    rows = queries("additive", 40, 0).tried(0)
    done = choose_prompts(settings(write(tmp_path / "log.jsonl", rows)), tmp_path / "run")
    assert done.report.advice == "one prompt"
    assert {caveat.code for caveat in done.report.caveats} >= {"nothing-gained", "few-queries"}
    table = pq.read_table(done.run.path / "choices.parquet").to_pylist()
    assert {row["advised_prompt"] for row in table} == {done.report.single}


@pytest.mark.slow
def test_the_order_of_rows_changes_nothing(tmp_path: Path):
    rows = certain()
    order = np.random.default_rng(0).permutation(len(rows))
    first, other = (
        choose_prompts(settings(write(tmp_path / f"{name}.jsonl", some)), tmp_path / name).report
        for name, some in (("a", rows), ("b", [rows[at] for at in order]))
    )
    kept = {"run_id", "created", "settings"}
    assert first.model_dump(exclude=kept) == other.model_dump(exclude=kept)


@pytest.mark.slow
def test_no_query_is_predicted_by_a_head_that_has_seen_it(tmp_path: Path):
    """Turning the outcomes of one query round moves the predictions of others, never its own."""
    rows = certain()
    turned = [
        {**row, "outcome": 1 - row["outcome"]} if row["query"] == "add number 0" else row
        for row in rows
    ]
    found = []
    for name, some in (("a", rows), ("b", turned)):
        how = settings(write(tmp_path / f"{name}.jsonl", some))
        trials = Trials.of(read_prompt_log(str(how.log)).rows, (), ())
        own = [one.text for one in trials.queries].index("add number 0")
        fold = trials.fold(how.n_folds)
        found.append(predicted(trials, read(trials, None, how), how))
    inside = fold == fold[own]
    np.testing.assert_array_equal(found[0][:, inside], found[1][:, inside])
    assert not np.array_equal(found[0][:, ~inside], found[1][:, ~inside])


@pytest.mark.slow
def test_untried_prompts_have_no_oracle_and_that_is_said(tmp_path: Path):
    rows = queries("interaction", 60, 0).tried(0, prompts_each=2)
    new = [{"prompt": text} for text in (*PROMPTS, "sing it.")]
    candidates = write(tmp_path / "c.jsonl", new)
    log = write(tmp_path / "log.jsonl", rows)
    done = choose_prompts(settings(log, candidates=candidates), tmp_path / "run")
    assert all(one.regret is None for one in done.report.methods)
    assert done.report.methods[0].outcome is not None
    assert {one.code for one in done.report.caveats} >= {"no-oracle", "new-prompts"}
    untried = next(one for one in done.report.prompts if one.prompt == "sing it.")
    assert (untried.tried, untried.outcome) == (0, None)


# Rewards that may be compared between prompts


def stored(folder: Path, **about: object) -> str:
    head = linear(2, 1, torch.Generator())
    head.weights[0].data.fill_(1.0)
    assert isinstance(head, Layers)
    HeadReward(WordCounts(("good",)), head).save(folder / "reward", "head", **about)
    return str(folder / "reward")


def of_run(folder: Path, command: str) -> str:
    TermReward(("good",), (1.0,)).save(folder / "reward", "terms")
    (folder / "config.yaml").write_text(f"run_id: x\ncommand: {command}\n", encoding="utf-8")
    return str(folder)


@pytest.mark.parametrize("declared", [False, True])
@pytest.mark.parametrize("command", ["audit", "recover", "ensemble"])
def test_rewards_that_are_fitted_within_prompts_are_refused(
    command: str, declared: bool, tmp_path: Path
):
    """No word of the user changes what is known; nor does naming the folder inside the run."""
    run = of_run(tmp_path / "run", command)
    for source in (run, f"{run}/reward"):
        with pytest.raises(InputError) as refused:
            absolute_reward(source, declared=declared, loading=Loading())
        said = str(refused.value)
        assert "log pi_aligned / pi_reference = reward / beta + c(prompt)" in said
        assert "rewards of different prompts cannot be compared" in said
        assert "\n" not in said


@pytest.mark.parametrize("about", [{"method": "log-ratio"}, {"loss": "bradley-terry"}])
def test_heads_say_themselves_how_they_were_fitted(about: dict[str, str], tmp_path: Path):
    with pytest.raises(InputError, match=f"fitted within prompts .{next(iter(about.values()))}"):
        absolute_reward(stored(tmp_path, **about), declared=True, loading=Loading())


def test_what_does_not_tell_needs_the_users_word(tmp_path: Path):
    source = stored(tmp_path)
    with pytest.raises(InputError, match=r"Nothing tells how .* --absolute"):
        absolute_reward(source, declared=False, loading=Loading())
    told = absolute_reward(source, declared=True, loading=Loading())
    assert told.read(["good good", "bad"], ["a", "b"]).tolist() == [2.0, 0.0]


def test_a_head_that_was_fitted_to_outcomes_is_a_probability(tmp_path: Path):
    told = absolute_reward(stored(tmp_path, **LABELS), declared=False, loading=Loading())
    assert told.unit == "probability of success"
    assert told.read(["good good", "bad"], ["a", "b"]) == pytest.approx([1 / (1 + np.exp(-2)), 0.5])


@pytest.mark.slow
def test_an_implicit_reward_is_a_log_ratio_and_is_refused(tmp_path: Path):
    model = fakes.save(fakes.model(), tmp_path / "policy")
    with pytest.raises(InputError, match="implicit reward is a log-ratio"):
        absolute_reward(str(model), declared=True, loading=Loading())


# A policy


@pytest.mark.slow
def test_a_policy_is_ranked_by_what_it_answers_under_each_prompt(tmp_path: Path):
    rows = [
        {"query": f"what {at}", "prompt": "p", "outcome": float(at % 2), "response": text}
        for at in range(40)
        for text in [f"the cat {'sat' if at % 2 else 'dog'}"]
    ]
    rows += [{**row, "prompt": "r"} for row in rows]
    log = write(tmp_path / "log.jsonl", rows)
    scored = choose_prompts(settings(log), tmp_path / "log-run")
    assert scored.report.answer_head is not None
    assert scored.report.answer_head.auc.value == 1
    policy = fakes.save(fakes.model(), tmp_path / "policy")
    asked = write(tmp_path / "q.jsonl", [{"query": f"what {at}?"} for at in range(6)])
    among = write(tmp_path / "c.jsonl", [{"prompt": text} for text in ("the cat", "please", "no")])
    given = {
        **{"policy": str(policy), "reward": str(scored.run.path), "queries": asked},
        **{"candidates": among, "sampling": {"responses_per_prompt": 4, "max_new_tokens": 8}},
    }
    done = choose_prompts(out=tmp_path / "run", **given)
    report = done.report
    assert (report.source, report.queries, report.candidates) == ("policy", 6, 3)
    assert report.unit == "probability of success"
    answers = pq.read_table(done.run.path / "answers.parquet").to_pandas()
    assert len(answers) == 6 * 3 * 4
    means = answers.groupby("prompt_id").reward.mean()
    for prompt in report.prompts:
        assert prompt.outcome.value == pytest.approx(means[prompt.prompt_id])
        assert prompt.outcome.n == 6
    values = [pair.value for pair in report.red_team]
    assert values == sorted(values)
    halves = answers.groupby(["query_id", "prompt_id"]).reward.apply(lambda of: of.iloc[:2].mean())
    assert values[0] == pytest.approx(halves.min())
    assert report.red_team[0].again is not None
    again = choose_prompts(out=tmp_path / "again", **given)
    kept = {"run_id", "created"}
    assert again.report.model_dump(exclude=kept) == report.model_dump(exclude=kept)
    run = of_run(tmp_path / "recovered", "recover")
    with pytest.raises(InputError, match="cannot choose between prompts"):
        choose_prompts(out=tmp_path / "no", **(given | {"reward": run}))
    assert not (tmp_path / "no").exists()


# Organisms


def test_the_tables_are_what_they_are_said_to_be():
    assert {len(table[0]) for table in TABLES.values()} == {len(PROMPTS)}
    for name in ("interaction", "two words", "noise"):
        assert np.ptp(TABLES[name].mean(0)) == pytest.approx(0), "no prompt is best on average"
    assert len(set(TABLES["additive"].argmax(1))) == 1
    gaps = TABLES["additive"] - TABLES["additive"].mean(1, keepdims=True)
    assert np.ptp(gaps, axis=0) == pytest.approx(0)
    assert len(set(TABLES["easy"].argmax(1))) == 4
    assert all(0 <= table.min() <= table.max() <= 1 for table in TABLES.values())


def test_a_log_is_what_its_table_says_on_average():
    drawn = queries("easy", 400, 0)
    assert len(set(drawn.texts)) == 400
    rows = drawn.tried(0)
    mean = np.array([row["outcome"] for row in rows]).reshape(400, 6).mean(0)
    assert mean == pytest.approx(drawn.success.mean(0), abs=0.06)
    assert len(drawn.tried(0, prompts_each=2)) == 800
    assert queries("easy", 5, 1).texts == queries("easy", 5, 1).texts
    with pytest.raises(InputError, match="no table nothing"):
        queries("nothing", 1, 0)
