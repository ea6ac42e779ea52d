"""From answers to a stored conditional reward: the parts of an audit in a row."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from explain.terms import Said, changed_terms, paid_terms
from irl.config import AuditSettings
from irl.jobs.answers import Answers
from irl.jobs.identifiability import contracted, identified
from irl.jobs.known_truth import KnownTruth
from irl.jobs.objectives import search
from irl.jobs.recovery import against_truth, fit_reward, write_recovered
from irl.records import PromptCondition
from irl.recovery.log_ratio import fit_terms
from irl.rewards.terms import TermReward
from irl.runs import open_run
from irl.within import centred
from tests.explain.reports import truth as truth_of
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
def test_more_prompts_tell_more_of_the_planted_weights_as_far_as_they_were_learnt():
    """Answers say nothing of who wrote them here, so the posterior is around 0 at every size."""
    world = noise(2, n_prompts=160)
    answers = answers_of(world.plus(3 * world.counts(*PAID).sum(1)))
    fit = fit_terms(answers.texts, answers.returns, world.prompt, world.fold, FITTING, 0)
    planted = truth_of(dict.fromkeys(PAID, 3.0))
    known = KnownTruth(planted, 3 * world.counts(*PAID).sum(1), linear=True)
    found = contracted(answers, fit, SETTINGS, known)
    assert [one.prompts for one in found] == [0, 20, 40, 80, 160]
    assert found[-1].trace == identified(answers, fit, SETTINGS).record.posterior_trace
    planted_held = [one.truth_covered.value for one in found if one.truth_covered]
    assert planted_held[-1] == 0
    unknown = contracted(answers, fit, SETTINGS, None)
    assert [one.covered for one in unknown] == [one.covered for one in found]
    assert all(one.truth_covered is None for one in unknown)
    assert against_truth(None, fit, answers, SETTINGS) == []
    log_ratio, recovered = against_truth(known, fit, answers, SETTINGS)
    for one in (log_ratio, recovered):
        assert one.slope is not None
        assert one.slope.value == pytest.approx(1, abs=0.1)
    assert recovered.pearson is not None
    assert recovered.pearson.value > 0.97


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
