"""Checkpoints of one training: which are meant, and what becomes of terms over them."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from irl.errors import InputError
from irl.evaluation.series import Common, Heard, common_terms, mean_of, weighed
from irl.policies.series import checkpoints_of, short_names, steps
from irl.recovery.log_ratio import fit_terms
from tests.prompted_world import FITTING, PromptedWorld, noise

PLANTED = {"w3": 1.5, "w8": -2.0}
STRENGTHS = (0.0, 0.5, 1.0)


def folders(root: Path, *names: str, weights: bytes = b"") -> list[Path]:
    made = [root / name for name in names]
    for folder in made:
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(weights or folder.name.encode())
    return made


def test_a_trainers_checkpoints_are_ordered_by_number_and_the_final_model_comes_last(
    tmp_path: Path,
):
    folders(tmp_path, "run/checkpoint-1000", "run/checkpoint-200", "run/checkpoint-9")
    (tmp_path / "run/checkpoint-final").mkdir()
    run = tmp_path / "run"
    ordered = [str(run / f"checkpoint-{step}") for step in (9, 200, 1000)]
    assert checkpoints_of([str(run)]) == ordered
    (run / "model.safetensors").write_bytes(b"trained on")
    assert checkpoints_of([str(run)]) == [*ordered, str(run)]
    (run / "model.safetensors").write_bytes(b"checkpoint-1000")
    assert checkpoints_of([str(run)]) == ordered


def test_checkpoints_that_are_named_keep_their_order(tmp_path: Path):
    named = [str(path) for path in folders(tmp_path, "b", "c", "a")]
    assert checkpoints_of(named) == named


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ((), "none was"),
        (("a",), "two checkpoints or more"),
        (("a", "b", "./a"), "named twice"),
        (("hub/model", "hub/model"), "named twice"),
    ],
)
def test_a_series_needs_two_different_checkpoints(
    names: tuple[str, ...], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folders(tmp_path, "a", "b")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=words):
        checkpoints_of(names)


def test_names_are_short_where_they_differ_and_tell_steps_where_these_rise():
    assert short_names(["x/checkpoint-5", "x/checkpoint-10"]) == ["checkpoint-5", "checkpoint-10"]
    twins = ["root/models/a/aligned", "root/models/b/aligned"]
    assert short_names(twins) == ["a/aligned", "b/aligned"]
    assert short_names(["a", "./a"]) == ["a", "./a"]
    assert steps(["checkpoint-5", "checkpoint-10"]) == [5, 10]
    assert steps(["checkpoint-10", "checkpoint-5"]) is None
    assert steps(["checkpoint-10", "final"]) is None


def planted(world: PromptedWorld, strength: float) -> NDArray[np.float64]:
    counts = world.counts(*PLANTED)
    paid: NDArray[np.float64] = strength * counts @ np.array(list(PLANTED.values()))
    return paid


def heard(world: PromptedWorld) -> Heard:
    fit = fit_terms(world.texts, world.returns, world.prompt, world.fold, FITTING, 0)
    return Heard(world.texts, world.returns, world.prompt, fit)


@pytest.fixture(scope="module")
def series() -> list[Heard]:
    """The same prices, paid more and more strongly; other answers at every checkpoint."""
    worlds = [noise(seed) for seed in range(len(STRENGTHS))]
    return [
        heard(world.plus(planted(world, strength)))
        for world, strength in zip(worlds, STRENGTHS, strict=True)
    ]


@pytest.mark.slow
def test_a_term_that_was_found_anywhere_is_weighed_everywhere(series: list[Heard]):
    common = common_terms(series)
    assert set(common.terms) == set(PLANTED)
    assert common.terms[0] == "w8"
    for one, strength in zip(series, STRENGTHS, strict=True):
        weights = weighed(one, common, draws=500, seed=0)
        for term, price in PLANTED.items():
            weight = weights[term]
            assert weight is not None
            assert weight.value == pytest.approx(strength * price, abs=0.25)
            assert weight.low < weight.value < weight.high
            assert weight.n == 80


@pytest.mark.slow
def test_the_order_of_the_checkpoints_changes_no_weight(series: list[Heard]):
    common, turned = common_terms(series), common_terms(series[::-1])
    assert common == turned
    for one in series:
        assert weighed(one, common, 200, 0) == weighed(one, turned, 200, 0)


def test_of_terms_that_always_go_together_one_is_weighed(series: list[Heard]):
    twins = [f"{text} {'echo ' * text.split().count('w3')}" for text in series[-1].texts]
    fit = series[-1].fit
    renamed = tuple({"w3": "echo"}.get(term, term) for term in fit.reward.terms)
    other = type(fit)(type(fit.reward)(renamed, fit.reward.weights), fit.draws, *[np.zeros(0)] * 3)
    both = [Heard(twins, series[-1].returns, series[-1].prompt, made) for made in (fit, other)]
    assert len({"w3", "echo"} & set(common_terms(both).terms)) == 1


def test_a_term_that_no_two_prompts_carry_has_no_weight(series: list[Heard]):
    texts = ["once " + text if at == 0 else text for at, text in enumerate(series[0].texts)]
    one = Heard(texts, series[0].returns, series[0].prompt, series[0].fit)
    weights = weighed(one, Common(("once", "never", "w8"), per_word=True), 200, 0)
    assert weights["once"] is None
    assert weights["never"] is None
    assert weights["w8"] is not None
    assert weights[""] is not None


@pytest.mark.slow
def test_a_series_in_which_nothing_is_found_has_no_terms():
    found = common_terms([heard(noise(seed)) for seed in (0, 1)])
    assert found.terms == ()
    assert weighed(heard(noise(0)), found, 200, 0) == {}


def test_a_mean_counts_per_what_it_is_told():
    found = mean_of(np.array([2.0, 4.0]), np.array([1.0, 3.0]), np.array([0, 1]), 0)
    assert found is not None
    assert found.value == 6 / 4
    assert mean_of(np.array([2.0]), np.ones(1), np.array([0]), 0) is None
