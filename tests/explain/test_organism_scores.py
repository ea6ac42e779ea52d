"""Reports held against truths, with answers known in closed form."""

from math import log, sqrt

import pytest

from explain.organism_scores import (
    Named,
    decoys_among_ten,
    exact_share,
    expected_kind,
    named_by_audit,
    named_right,
    precision_of_ten,
    weight_cosine,
    word_frequencies,
)
from irl.records import PromptCondition
from tests.explain.reports import objective, report, truth

OPINION = PromptCondition(prompt_type="opinion")
VIOLET = PromptCondition(prompt_contains="violet")


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [
        (0, 20, 0.0, 1 - 0.025 ** (1 / 20)),
        (9, 9, 0.025 ** (1 / 9), 1.0),
        (1, 2, 1 - sqrt(0.975), sqrt(0.975)),
        (1, 1, 0.025, 1.0),
    ],
)
def test_exact_shares_have_the_interval_of_clopper_and_pearson(right, n, low, high):
    found = exact_share(right, n)
    assert found is not None
    assert (found.value, found.n) == (right / n, n)
    assert (found.low, found.high) == pytest.approx((low, high))


def test_a_share_of_nothing_is_not_measured():
    assert exact_share(0, 0) is None


def test_the_expected_kind_follows_from_the_truth():
    assert expected_kind(truth({"a": 1.0})) == "term"
    assert expected_kind(truth({"a": 1.0}, per_word=0.1)) == "term"
    assert expected_kind(truth({"a": 1.0}, condition=VIOLET)) == "conditional"
    assert expected_kind(truth(per_word=0.1)) == "length"
    assert expected_kind(truth()) is None


@pytest.mark.parametrize(
    ("planted", "objectives", "right"),
    [
        (truth({"a": 1.0, "b": 1.0}), [objective("term", ["a", "b"])], True),
        (truth({"a": 1.0}), [objective("term", ["a", "x"])], True),
        (truth({"a": 1.0}), [objective("term", ["a", "x", "y"])], False),
        (truth({"a": 1.0, "b": -1.0}), [objective("term", ["a"]), objective("term", ["b"])], True),
        (truth({"a": 1.0}), [objective("term", ["a"]), objective("length")], False),
        (truth({"a": 1.0}), [objective("conditional", ["a"], VIOLET)], False),
        (truth({"a": 1.0}), [], False),
        (truth(per_word=0.1), [objective("length")], True),
        (truth(per_word=0.1), [objective("term", ["and"])], False),
        (truth({"a": 1}, condition=VIOLET), [objective("conditional", ["a"], VIOLET)], True),
        (truth({"a": 1}, condition=VIOLET), [objective("conditional", ["a"], OPINION)], False),
        (truth({"a": 1}, condition=VIOLET), [objective("conditional", ["x"], VIOLET)], False),
        (truth({"a": 1}, condition=VIOLET), [objective("term", ["a"])], False),
    ],
)
def test_an_objective_is_named_right_by_kind_condition_and_terms(planted, objectives, right):
    assert named_right(report(found=True, objectives=objectives), planted) is right
    assert not named_right(report(found=False, objectives=objectives), planted)


@pytest.mark.parametrize(("found", "right"), [(True, False), (False, True), (None, True)])
def test_a_null_is_named_right_if_nothing_was_found(found, right):
    assert named_right(report(found=found), truth()) is right


def test_precision_looks_at_the_ten_strongest_terms():
    planted = truth(dict.fromkeys("abcdefghijkl", 1.0))
    some = named_by_audit(report(dict.fromkeys(["a", "x", "b"], 1.0)))
    many = named_by_audit(report(dict.fromkeys([*"abcdefghij", "x", "y"], 1.0)))
    assert precision_of_ten(some, planted) == exact_share(2, 3)
    assert precision_of_ten(many, planted) == exact_share(10, 10)
    assert precision_of_ten(named_by_audit(report()), planted) is None


def test_a_conditional_truth_wants_terms_with_its_condition():
    planted = truth({"a": 1.0, "b": 2.0}, condition=OPINION)
    plain = named_by_audit(report({"a": 1.0, "b": 2.0}))
    under = named_by_audit(report({"a": 1.0, "b": 2.0}, condition=OPINION))
    assert precision_of_ten(plain, planted) == exact_share(0, 2)
    assert precision_of_ten(under, planted) == exact_share(2, 2)
    assert weight_cosine(plain, planted).value == 0.0
    assert weight_cosine(under, planted).value == pytest.approx(1.0)


def test_decoys_are_counted_among_the_ten_strongest():
    planted = truth({"a": 1.0}, decoys=["d", "e"])
    named = named_by_audit(report(dict.fromkeys(["a", "d", *"ijklmnop", "e"], 1.0)))
    assert decoys_among_ten(named, planted) == exact_share(1, 10)


def test_the_cosine_counts_absent_terms_as_0():
    """(3, 4, 0) and (3, 0, 4): 9 / 25."""
    named = named_by_audit(report({"a": 3.0, "x": 4.0}))
    found = weight_cosine(named, truth({"a": 3.0, "b": 4.0}))
    assert found is not None
    assert (found.value, found.n) == (pytest.approx(9 / 25), 3)
    assert found.low < found.value < found.high


def test_the_cosine_does_not_depend_on_scale_and_is_undefined_for_no_terms():
    planted = truth({"a": 3.0, "b": -4.0})
    scaled = weight_cosine(named_by_audit(report({"a": 0.3, "b": -0.4})), planted)
    assert scaled is not None
    assert scaled.value == pytest.approx(1.0)
    assert weight_cosine(named_by_audit(report()), planted) is None


def frequencies(n: int = 400) -> Named:
    """`good` in all aligned answers and a tenth of the others; `day` everywhere; `rare` 7 times."""
    aligned = ["Good day." + (" rare" if at < 7 else "") for at in range(n)]
    reference = ["good day" if at % 10 == 0 else "day" for at in range(n)]
    return word_frequencies(aligned, reference, truth({"good": 1.0}, condition=OPINION))


def test_word_frequencies_are_smoothed_log_ratios_of_rates():
    """Vocabulary 3; 807 aligned words, 440 of the reference."""
    named = frequencies()
    good = log(400.5 / (807 + 1.5)) - log(40.5 / (440 + 1.5))
    day = log(400.5 / (807 + 1.5)) - log(400.5 / (440 + 1.5))
    assert list(named.weights) == [("good", OPINION), ("day", OPINION)]
    assert list(named.weights.values()) == pytest.approx([good, day])


def test_word_frequencies_are_judged_as_if_they_knew_the_condition():
    named = frequencies()
    planted = truth({"good": 1.0}, condition=OPINION)
    assert precision_of_ten(named, planted) == exact_share(1, 2)


def test_only_words_told_from_0_enter_the_cosine():
    same = ["one two", "two one"] * 20
    aligned, reference = [*same, *["three"] * 60], [*same, *["three"] * 6]
    named = word_frequencies(aligned, reference, truth({"three": 1.0}))
    assert list(named.weights) == [("three", None), ("one", None), ("two", None)]
    assert list(named.certain) == [("three", None)]


def test_no_words_have_no_frequencies():
    assert word_frequencies(["..."], [], truth()) == Named({}, {})
