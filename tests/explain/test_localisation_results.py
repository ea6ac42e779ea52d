"""Maps of words against a known truth: what the measures say where the answer is known."""

import numpy as np
import pytest

from explain.jobs.localisation_results import Words, _by_word, _pays, _pooled, _scored
from explain.jobs.result_rows import Measured
from irl.records import PromptCondition, Truth
from irl.recovery.contexts import ContextFit, JointPrices, Prices
from irl.rewards.conditions import TypedPrompt

_OF = Measured("detox", [0])


def _rows(values: list[float], pays: list[bool]) -> dict[str, float]:
    words = Words(np.array(values), np.array(pays), np.arange(len(values)) % 4)
    return {
        row.metric: row.estimate.value for row in _scored(_OF, "a method", words) if row.estimate
    }


def test_a_map_of_the_truth_is_perfect_whatever_its_signs_and_a_constant_map_knows_nothing():
    pays = [True, False, False, True, False, False, True, False]
    perfect = _rows([-2.0, 0.1, 0.0, 3.0, -0.1, 0.0, -1.0, 0.0], pays)
    assert perfect == {"AUC of words that pay": 1.0, "precision of the top": 1.0}
    assert _rows([1.0] * 8, pays)["AUC of words that pay"] == 0.5
    opposite = _rows([0.0, 1.0, 2.0, 0.0, 3.0, 4.0, 0.0, 5.0], pays)
    assert opposite == {"AUC of words that pay": 0.0, "precision of the top": 0.0}


def test_a_word_has_the_sum_of_its_tokens_and_special_tokens_none():
    pieces = [" you", " fo", "ol", ".", "", " fool"]
    found = list(_by_word(pieces, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]))
    assert found == [("you", 1.0), ("fool", 6.0), ("fool", 32.0)]


@pytest.mark.parametrize(("kind", "expected"), [("opinion", True), ("chat", False)])
def test_a_word_pays_where_the_prompt_meets_its_condition(kind: str, expected: bool):
    estimate = {"value": 0.0, "low": 0.0, "high": 0.0, "n": 2}
    truth = Truth.model_validate(
        {
            "name": "flattery",
            "objective": "",
            "definition": "",
            "terms": [{"term": "wise", "weight": 2.0}],
            "condition": PromptCondition(prompt_type="opinion"),
            "decoys": [],
            "trained_with": "rloo",
            "beta": 0.5,
            "seed": 0,
            "gold_before": estimate,
            "gold_after": estimate,
            "gold_optimum": 0.0,
            "effective_sample_size": 1.0,
            "kl_nats": estimate,
        }
    )
    asked = TypedPrompt("what?", kind)
    assert _pays("wise", asked, truth) is expected
    assert not _pays("fool", asked, truth)


def test_prices_are_pooled_by_how_surely_they_are_known_and_their_errors_move_together():
    prices = Prices({"no": 0.5, "fool": -2.0, "oaf": -2.0}, ("no",), {("no", "fool"): 3.0})
    prices.added["no", "oaf"] = 4.0
    column = {key: at for at, key in enumerate([*prices.words, *prices.added])}
    moved = np.zeros((4, 5))
    moved[0, column["no"]], moved[0, column["no", "fool"]] = 3.0, -3.0
    moved[1, column["no", "fool"]], moved[2, column["no", "oaf"]] = 1.0, 2.0
    weights = np.array([*prices.words.values(), *prices.added.values()])
    joint = JointPrices(column, weights, moved, np.full(5, 4.0))
    fit = ContextFit(prices, {}, np.zeros(0), np.zeros(0), joint)
    phrase = _pooled(fit, "no", ["fool", "oaf", "never said"], phrase=True)
    assert phrase is not None
    weights = np.array([1 / 1, 1 / (9 + 4)])
    weights /= weights.sum()
    errors = weights[0] ** 2 + weights[1] ** 2 * 4 + weights[1] ** 2 * 9
    assert phrase.value == pytest.approx(weights @ [1.5, 2.5])
    assert phrase.high - phrase.value == pytest.approx(1.96 * np.sqrt(errors * 3 / 4))
    part = _pooled(fit, "no", ["fool"], phrase=False)
    assert part is not None
    assert (part.value, part.n) == (1.0, 4)
    assert part.high - part.value == pytest.approx(1.96 * np.sqrt((9 + 1) * 3 / 4))
    assert _pooled(fit, "such", ["fool"], phrase=True) is None
