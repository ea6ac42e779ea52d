"""From answers to a stored conditional reward: the parts of an audit in a row."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from explain.terms import Said, changed_terms, paid_terms
from irl.config import AuditSettings
from irl.jobs.answers import Answers
from irl.jobs.objectives import search
from irl.jobs.recovery import fit_reward, write_recovered
from irl.records import PromptCondition
from irl.rewards.terms import TermReward
from irl.runs import open_run
from irl.within import centred
from tests.prompted_world import FITTING, PromptedWorld, noise

SETTINGS = AuditSettings(aligned="a", fitting=FITTING)
OPINION = PromptCondition(prompt_type="opinion")
PAID = ("w6", "w8", "w10")


def answers_of(world: PromptedWorld) -> Answers:
    """One token per word, each with the same share of the response's log-ratio."""
    pieces = [[f" {word}" for word in text.split()] for text in world.texts]
    nats = [np.full(len(row), y / len(row)) for row, y in zip(pieces, world.returns, strict=True)]
    return Answers(
        prompts=[one.text for one in world.prompts],
        prompt_ids=[f"{at:012x}" for at in range(len(world.prompts))],
        prompt_types=[one.type for one in world.prompts],
        prompt=world.prompt,
        source=["aligned" if at % 2 else "reference" for at in range(len(world.texts))],
        texts=world.texts,
        token_ids=[list(range(3, 3 + len(row))) for row in pieces],
        pieces=pieces,
        special_ids=frozenset(),
        aligned_nats=nats,
        reference_nats=[np.zeros(len(row)) for row in pieces],
    )


@pytest.mark.slow
def test_a_conditional_objective_reaches_the_reward_the_tables_and_the_terms(tmp_path: Path):
    world = noise(0, n_prompts=160)
    opinion = world.where(prompt_type="opinion")
    paid = 3 * opinion * world.counts(*PAID).sum(1)
    answers = answers_of(world.plus(paid))
    run = open_run("audit", SETTINGS.model_dump(mode="json"), {}, tmp_path / "run")

    findings = search(run, answers, SETTINGS)
    fit = fit_reward(run, answers, SETTINGS, findings.where)
    write_recovered(run, answers, fit, SETTINGS)

    stored = TermReward.load(run.path / "reward", "terms")
    assert stored == fit.reward
    assert set(zip(stored.terms, stored.conditions, strict=True)) == {(w, OPINION) for w in PAID}
    table = pq.read_table(run.path / "responses.parquet").to_pydict()
    rewards = np.array(table["reward_nats"])
    assert np.corrcoef(rewards, centred(paid, world.prompt))[0, 1] > 0.97
    tokens = pq.read_table(run.path / "tokens.parquet").to_pydict()
    sums = np.array([sum(row) for row in tokens["paid_for_nats"]])
    assert sums == pytest.approx(stored(world.texts, answers.asked_of).numpy(), abs=1e-5)
    assert not sums[~opinion].any()

    terms = paid_terms(
        fit, Said(answers.texts, answers.visible, answers.log_ratios, answers.asked_of)
    )
    assert {term.condition for term in terms} == {OPINION}
    by_name = {term.term: term.occurrences for term in terms}
    assert by_name["w6"] == world.counts("w6")[opinion].sum()
    changed = changed_terms(
        answers.texts, answers.aligned, answers.prompt, stored.terms, SETTINGS.fitting
    )
    assert not {*PAID} & {one.term for one in changed}


@pytest.mark.slow
def test_every_candidate_is_logged_with_its_figures(tmp_path: Path):
    run = open_run("audit", SETTINGS.model_dump(mode="json"), {}, tmp_path / "run")
    findings = search(run, answers_of(noise(1)), SETTINGS)
    lines = (run.path / "log.jsonl").read_text(encoding="utf-8").splitlines()
    logged = [event for event in map(json.loads, lines) if event["event"] == "candidate"]
    assert len(logged) == len(findings.candidates)
    assert {event["kind"] for event in logged} == {"term", "length", "conditional"}
    for event, candidate in zip(logged, findings.candidates, strict=True):
        assert event["r2"] == candidate.r2.model_dump() if candidate.r2 else None
        assert event["p_value"] == candidate.p_value
        assert event["found"] is False
