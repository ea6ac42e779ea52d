"""Scores against the true reward, and where a job finds that."""

import json
from pathlib import Path

import numpy as np
import pytest

from irl.config import ScoreSettings
from irl.evaluation.true_reward import truth_agreement
from irl.jobs.answers import Answers, responses_table
from irl.jobs.known_truth import KnownTruth, known_truth, truth_hash
from irl.organisms.toxicity import civility_nats
from irl.records import PromptCondition
from irl.rewards.terms import TermReward
from tests.explain.reports import truth as truth_of

PROMPT = np.arange(30).repeat(6)
RNG = np.random.default_rng(0)
TRUE = RNG.poisson(1.0, len(PROMPT)).astype(float) * -2
OPINION = PromptCondition(prompt_type="opinion")
TEXTS = ["You fool, you fool!", "A kind fool.", "Nothing.", "fool fool fool"]


def answers(kinds: tuple[str | None, str | None] = (None, None)) -> Answers:
    """Two answers to each of two prompts."""
    return Answers(
        prompts=["what?", "I think so."],
        prompt_ids=["0" * 12, "1" * 12],
        prompt_types=list(kinds),
        prompt=np.array([0, 0, 1, 1]),
        source=["aligned", "reference"] * 2,
        texts=TEXTS,
        token_ids=[[1]] * 4,
        pieces=[[text] for text in TEXTS],
        special_ids=frozenset(),
        aligned_nats=[np.zeros(1)] * 4,
        reference_nats=[np.zeros(1)] * 4,
    )


def organism(folder: Path, text: str | None = None, **about: object) -> ScoreSettings:
    """A folder with a policy and what it was paid for."""
    (folder / "aligned").mkdir()
    told = truth_of({"fool": -2.0, "kind": 1.0}).model_copy(update=about)
    (folder / "truth.json").write_text(told.to_json() if text is None else text)
    return ScoreSettings(aligned=str(folder / "aligned"))


def found(settings: ScoreSettings, given: Answers | None = None) -> KnownTruth:
    known = known_truth(settings, given or answers())
    assert known is not None
    return known


def test_the_true_reward_itself_has_correlation_and_slope_one():
    found = truth_agreement("recovered", TRUE + 5.0 * PROMPT, TRUE, PROMPT, 0)
    for one in (found.pearson, found.spearman, found.slope):
        assert one is not None
        assert (one.value, one.low, one.high, one.n) == pytest.approx((1, 1, 1, 30))


def test_half_of_what_was_paid_has_slope_one_half_and_noise_costs_correlation():
    noisy = 0.5 * TRUE + RNG.normal(0, 1, len(TRUE))
    found = truth_agreement("log_ratio", noisy, TRUE, PROMPT, 0)
    assert found.scorer == "log_ratio"
    assert found.slope is not None
    assert found.slope.low < 0.5 < found.slope.high
    assert found.pearson is not None
    assert found.pearson.value == pytest.approx(np.sqrt(0.5), abs=0.1)  # sd 1 of either part
    assert found.pearson.low < found.pearson.value < found.pearson.high


def test_where_nothing_was_paid_there_is_nothing_to_agree_with():
    found = truth_agreement("recovered", TRUE, np.zeros(len(TRUE)), PROMPT, 0)
    assert (found.pearson, found.spearman, found.slope) == (None, None, None)


def test_an_organism_tells_what_each_answer_was_paid(tmp_path: Path):
    settings = organism(tmp_path)
    assert found(settings).nats.tolist() == [-4, -1, 0, -6]
    assert set(truth_hash(settings)) == {"truth"}
    table = responses_table(answers(("question", None)), None, found(settings).nats)
    assert table["true_nats"].to_pylist() == [-4, -1, 0, -6]
    assert table["prompt_type"].to_pylist() == ["question", "question", None, None]


def test_words_bounds_and_conditions_of_the_truth_count(tmp_path: Path):
    settings = organism(tmp_path, per_word=0.5, most=-1.0, condition=OPINION)
    both = found(settings, answers(("question", "opinion"))).nats
    assert both.tolist() == [0, 0, -1, -4.5], "0.5 for `Nothing.` is over the bound"
    assert found(settings).nats.tolist() == [0, 0, 0, 0]


def test_a_classifier_of_real_text_stands_in_its_own_files(tmp_path: Path):
    settings = organism(tmp_path, name="real-detox", beta=0.5)
    toxicity = TermReward(("fool",), (3.0,), intercept=-1.0)
    toxicity.save(tmp_path, "classifier")
    known = found(settings)
    assert known.nats.tolist() == pytest.approx((civility_nats(toxicity, TEXTS) / 0.5).tolist())
    assert not known.linear
    assert known.weights(TermReward(("fool",), (1.0,))) is None


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"truth": True})])
def test_a_file_that_is_no_truth_is_passed_over(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
):
    assert known_truth(organism(tmp_path, text), answers()) is None
    assert "passed over" in caplog.text


def test_only_what_stands_beside_an_aligned_policy_is_its_truth(tmp_path: Path):
    organism(tmp_path)
    (tmp_path / "reference").mkdir()
    for name in ("reference", "adapter", "aligned/.."):
        settings = ScoreSettings(aligned=str(tmp_path / name))
        assert known_truth(settings, answers()) is None
        assert truth_hash(settings) == {}


def test_planted_weights_are_those_of_the_fitted_terms(tmp_path: Path):
    known = found(organism(tmp_path, per_word=0.1))
    fitted = TermReward(("kind", "other", "fool"), (1.0, 1.0, 1.0), per_word=0.2)
    assert known.weights(fitted) is not None
    assert np.array(known.weights(fitted)).tolist() == [1.0, 0.0, -2.0, 0.1]
    under = TermReward(("kind",), (1.0,), conditions=(OPINION,))
    assert known.weights(under) is None, "the truth has no condition"


def test_planted_weights_under_a_condition_hold_under_it_alone(tmp_path: Path):
    known = found(organism(tmp_path, condition=OPINION), answers(("question", "opinion")))
    mixed = TermReward(("fool", "fool"), (1.0, 1.0), conditions=(OPINION, None))
    assert np.array(known.weights(mixed)).tolist() == [-2.0, 0.0, 0.0]
    other = PromptCondition(prompt_contains="red")
    assert known.weights(TermReward(("fool",), (1.0,), conditions=(other,))) is None
