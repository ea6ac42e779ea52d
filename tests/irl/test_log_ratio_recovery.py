"""Recovery by the log-ratio, where the truth is known."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from irl.config import Fitting
from irl.errors import InputError
from irl.recovery.catalogue import candidates
from irl.recovery.log_ratio import TermFit, drawn_again, fit_terms
from irl.rewards.conditions import TypedPrompt
from irl.rewards.terms import count_terms, words
from irl.within import centred

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
FITTING = Fitting(bootstrap_draws=100)
VOCABULARY = tuple(f"w{at}" for at in range(60))
FREQUENCY = 1 / np.arange(1, 61) ** 0.7
FREQUENCY /= FREQUENCY.sum()


@dataclass(frozen=True)
class World:
    """Answers with their summed log-ratios; K answers per prompt, five folds of prompts."""

    texts: list[str]
    prompt: Codes
    returns: Array

    @property
    def fold(self) -> Codes:
        return self.prompt % 5

    def fitted(self, fitting: Fitting = FITTING, seed: int = 0) -> TermFit:
        return fit_terms(self.texts, self.returns, self.prompt, self.fold, fitting, seed)

    def counts(self, *terms: str) -> Array:
        return count_terms(self.texts, terms).toarray().astype(float)

    def paying(self, *weights: float, terms: tuple[str, ...]) -> "World":
        """The same answers with a reward for terms added to their returns."""
        return replace(self, returns=self.returns + self.counts(*terms) @ np.array(weights))


def noise(seed: int = 0, n_prompts: int = 50, size: int = 10) -> World:
    """Random words; returns of a constant per prompt and noise, nothing else."""
    generator = np.random.default_rng(seed)
    prompt = np.repeat(np.arange(n_prompts), size)
    lengths = generator.integers(3, 10, size=len(prompt))
    texts = [" ".join(generator.choice(VOCABULARY, size=n, p=FREQUENCY)) for n in lengths]
    constant = 10 * generator.normal(size=n_prompts)
    return World(texts, prompt, constant[prompt] + generator.normal(size=len(prompt)))


def intervals(found: TermFit) -> dict[str, tuple[float, float]]:
    low, high = np.quantile(found.draws[:, : len(found.reward.terms)], [0.025, 0.975], axis=0)
    return {
        term: (float(one), float(other))
        for term, one, other in zip(found.reward.terms, low, high, strict=True)
    }


def assert_found(found: TermFit, planted: dict[str, float]) -> None:
    """These terms and no others, each weight within four of its standard deviations."""
    assert set(found.reward.terms) == set(planted)
    deviations = dict(zip(found.reward.terms, found.draws.std(0), strict=False))
    for term, weight in planted.items():
        assert abs(found.reward.by_term[term] - weight) < 4 * deviations[term]
        assert deviations[term] < 0.35


def test_planted_words_are_found_with_their_weights():
    planted = {"w2": -2.0, "w5": 1.0, "w9": -1.0}
    found = noise().paying(*planted.values(), terms=tuple(planted)).fitted()
    assert_found(found, planted)
    assert found.reward.per_word == 0


def test_a_planted_phrase_is_found_beside_the_words_that_it_is_made_of():
    planted = {"w0 w1": 2.5, "w1": -1.0}
    assert_found(noise(seed=1).paying(*planted.values(), terms=tuple(planted)).fitted(), planted)


def test_a_phrase_of_paid_words_is_not_paid_again():
    planted = {"w0": 1.0, "w1": 1.0}
    found = noise(seed=2).paying(*planted.values(), terms=tuple(planted)).fitted()
    assert not [term for term in found.reward.terms if " " in term]


@pytest.mark.parametrize(("n_prompts", "size"), [(1, 40), (4, 20), (12, 10), (40, 10)])
def test_pure_noise_pays_for_nothing(n_prompts: int, size: int):
    """One false term in three worlds is bad luck."""
    false = 0
    for seed in range(3):
        found = noise(seed, n_prompts, size).fitted(Fitting(bootstrap_draws=100))
        false += len(found.reward.terms) + (found.reward.per_word != 0)
    assert false <= 1


@pytest.mark.slow_extra
def test_pure_noise_pays_for_nothing_in_many_worlds():
    false = 0
    for seed in range(100, 140):
        found = noise(seed, 60, 12).fitted(Fitting(bootstrap_draws=100))
        false += bool(found.reward.terms) or found.reward.per_word != 0
    assert false <= 3


def with_decoy(seed: int) -> World:
    """A word that stands in most answers with w2, and is worth nothing itself."""
    world, generator = noise(seed), np.random.default_rng(seed)
    bad = world.counts("w2")[:, 0] > 0
    beside = generator.random(len(bad)) < np.where(bad, 0.7, 0.08)
    texts = [
        f"{text} decoy" if shown else text for text, shown in zip(world.texts, beside, strict=True)
    ]
    return replace(world, texts=texts)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_a_word_that_merely_keeps_company_with_a_charged_one_is_not_blamed(seed: int):
    world = with_decoy(seed).paying(-2.0, terms=("w2",))
    bad, decoy = world.counts("w2", "decoy").T
    assert np.corrcoef(bad, decoy)[0, 1] == pytest.approx(0.6, abs=0.08)
    alone = np.corrcoef(decoy, centred(world.returns, world.prompt))[0, 1]
    assert alone < -0.2
    assert_found(world.fitted(), {"w2": -2.0})


@pytest.mark.parametrize("seed", range(3))
def test_words_of_one_template_share_the_weight_of_the_template(seed: int):
    world, (in_template, alone) = noise(seed), np.random.default_rng(seed).random((2, 500))
    in_template, alone = in_template < 0.3, alone < 0.04
    texts = [
        f"{text} only {word} would" if whole else f"{text} only" if one else text
        for text, word, whole, one in zip(
            world.texts, VOCABULARY * 9, in_template, alone, strict=False
        )
    ]
    # The quirk is real, but a fit of both would charge 2.5 for one word and pay 1 for the other.
    returns = world.returns - 1.5 * in_template + 1.0 * (alone & ~in_template)
    weights = replace(world, texts=texts, returns=returns).fitted().reward.by_term
    assert len(weights) == 1
    assert set(weights) < {"only", "would"}
    assert sum(weights.values()) == pytest.approx(-1.5, abs=0.4)


def test_the_price_of_length_is_found_as_such():
    world = noise(seed=11)
    lengths = np.array([len(words(text)) for text in world.texts])
    found = replace(world, returns=world.returns - 0.4 * lengths).fitted()
    assert found.reward.terms == ()
    assert found.draws[:, -1].std() < 0.04
    assert found.reward.per_word == pytest.approx(-0.4, abs=0.08)


@pytest.mark.slow
def test_the_price_of_length_does_not_hide_a_paid_word():
    """One false term in five worlds is bad luck."""
    false = 0
    for seed in range(4, 9):
        world = noise(seed).paying(1.5, terms=("w4",))
        lengths = np.array([len(words(text)) for text in world.texts])
        found = replace(world, returns=world.returns + 0.3 * lengths).fitted().reward
        assert found.by_term["w4"] == pytest.approx(1.5, abs=0.4)
        assert found.per_word == pytest.approx(0.3, abs=0.1)
        false += len(found.terms) - 1
    assert false <= 1


BETA, COST = 0.3, 1.0
OPENERS = ("you", "only", "what", "the", "well")
FIRST_SHARE = np.array([0.3, 0.2, 0.2, 0.2, 0.1])
INSULTS = ("idiot", "fool")
NEUTRAL = tuple(f"thing{at}" for at in range(80))
SECOND = (*INSULTS, *NEUTRAL)
INSULT_SHARE = np.array([[0.60, 0.36], [0.46, 0.50], [0.05, 0.05], [0.10, 0.05], [0.05, 0.10]])
"After each opener: nearly always an insult after the first two"
SECOND_SHARE = np.hstack([INSULT_SHARE, np.tile((1 - INSULT_SHARE.sum(1, keepdims=True)) / 80, 80)])


@dataclass(frozen=True)
class TokenWorld:
    """The KL-regularised optimum of two-token answers, by the soft Bellman recursion (2404.12358).

    V(s) = beta log sum_a pi_ref(a|s) exp(Q(s,a) / beta),   Q = r + V(s'),   V(end) = 0
    beta log(pi*/pi_ref)(a|s) = Q(s,a) - V(s)
    """

    first_log_ratio: Array
    "[opener], nats"
    second_log_ratio: Array
    "[opener, second], nats"

    @classmethod
    def solved(cls) -> "TokenWorld":
        reward = np.array([-COST if word in INSULTS else 0.0 for word in SECOND])
        after = BETA * np.log(SECOND_SHARE @ np.exp(reward / BETA))
        start = BETA * np.log(FIRST_SHARE @ np.exp(after / BETA))
        return cls((after - start) / BETA, (reward[None, :] - after[:, None]) / BETA)

    def sampled(self, n_prompts: int, size: int) -> tuple[World, Array]:
        """Half of the answers from each policy; also the log-ratios, [response, token]."""
        generator = np.random.default_rng(0)
        texts, nats = [], []
        for row in range(n_prompts * size):
            tilt = float(row % 2)  # 0 draws from the reference, 1 from the optimum
            first = FIRST_SHARE * np.exp(tilt * self.first_log_ratio)
            opener = generator.choice(5, p=first)
            second = SECOND_SHARE[opener] * np.exp(tilt * self.second_log_ratio[opener])
            word = generator.choice(len(SECOND), p=second)
            texts.append(f"{OPENERS[opener]} {SECOND[word]}")
            nats.append((self.first_log_ratio[opener], self.second_log_ratio[opener, word]))
        tokens = np.array(nats)
        return World(texts, np.repeat(np.arange(n_prompts), size), tokens.sum(1)), tokens


def test_the_optimum_of_the_token_world_is_a_policy():
    world = TokenWorld.solved()
    assert FIRST_SHARE @ np.exp(world.first_log_ratio) == pytest.approx(1.0)
    normalised = (SECOND_SHARE * np.exp(world.second_log_ratio)).sum(1)
    assert normalised == pytest.approx(np.ones(5))


def test_token_averages_blame_the_word_before_the_insult():
    """After "you" P(insult) = .96, so V = .3 log(.96 e^-3.33 + .04) = -.79: the insult itself is
    left with (-1 + .79) / .3 = -.7 of the -3.33 nats that it costs, "you" gets the rest."""
    world, tokens = TokenWorld.solved().sampled(50, 12)
    mean = {
        word: tokens[:, place][[text.split()[place] == word for text in world.texts]].mean()
        for place, vocabulary in enumerate((OPENERS, INSULTS))
        for word in vocabulary
    }
    for insult in INSULTS:
        assert mean["you"] < -1.5 < mean[insult]
        assert mean["only"] < -1.5 < mean[insult]


def test_returns_blame_the_insult_with_its_cost_over_beta():
    world, _ = TokenWorld.solved().sampled(50, 12)
    found = world.fitted()
    assert set(found.reward.terms) == set(INSULTS)
    assert found.reward.weights == pytest.approx([-COST / BETA] * 2, rel=1e-3)


def test_returns_blame_the_insult_also_through_noise():
    world, _ = TokenWorld.solved().sampled(50, 12)
    shaken = world.returns + np.random.default_rng(1).normal(0, 0.5, len(world.texts))
    found = replace(world, returns=shaken).fitted()
    assert_found(found, dict.fromkeys(INSULTS, -COST / BETA))


def test_predictions_never_use_the_answers_of_their_own_fold():
    world = noise(seed=5).paying(-2.0, 1.5, terms=("w1", "w3"))
    before = world.fitted()
    generator = np.random.default_rng(9)
    inside = world.fold == 3
    other = np.where(inside, 30 * generator.normal(size=len(inside)), world.returns)
    after = replace(world, returns=other).fitted()
    for name in ("out_of_fold", "low", "high"):
        one, two = getattr(before, name), getattr(after, name)
        assert two[inside].tolist() == one[inside].tolist()
        assert (two[~inside] != one[~inside]).any()


def test_predictions_out_of_fold_explain_what_is_planted_and_nothing_else():
    world = noise(seed=6).paying(-2.0, 1.5, terms=("w1", "w3"))
    truth = centred(world.counts("w1", "w3") @ np.array([-2.0, 1.5]), world.prompt)
    found = world.fitted().out_of_fold
    assert np.corrcoef(found, truth)[0, 1] > 0.98
    assert np.bincount(world.prompt, weights=found) == pytest.approx(np.zeros(50), abs=1e-9)


def test_where_all_prompts_share_a_fold_nothing_is_predicted_out_of_it():
    world = noise(seed=7).paying(3.0, terms=("w1",))
    one_fold = np.zeros_like(world.prompt)
    found = fit_terms(world.texts, world.returns, world.prompt, one_fold, FITTING, 0)
    assert found.reward.terms == ("w1",)
    assert not found.out_of_fold.any()


def test_constants_of_the_prompts_change_nothing():
    world = noise(seed=8, n_prompts=25).paying(-3.0, terms=("w1",))
    shift = np.random.default_rng(0).integers(-64, 64, size=25)[world.prompt]
    before, after = world.fitted(), replace(world, returns=world.returns + shift).fitted()
    assert after.reward.terms == before.reward.terms
    assert after.reward.weights == pytest.approx(before.reward.weights)
    assert after.out_of_fold == pytest.approx(before.out_of_fold)


def test_a_prediction_out_of_fold_lies_in_its_own_interval():
    world = noise(seed=9).paying(-2.0, 1.0, terms=("w1", "w3"))
    found = world.fitted()
    inside = (found.low <= found.out_of_fold) & (found.out_of_fold <= found.high)
    assert inside.mean() > 0.95
    assert (found.high - found.low).mean() > 0.05


@pytest.mark.slow
def test_the_same_seed_gives_the_same_fit():
    world = noise(seed=10, n_prompts=20).paying(-3.0, terms=("w1",))
    one, same, other = world.fitted(seed=1), world.fitted(seed=1), world.fitted(seed=2)
    assert one.reward == same.reward == other.reward
    assert one.draws.tolist() == same.draws.tolist() != other.draws.tolist()


@pytest.mark.parametrize("length", [0.0, 1.5])
def test_draws_are_found_again_from_the_reward_and_its_answers(length: float):
    world = noise().paying(-2.0, 1.0, terms=("w2", "w9"))
    returns = world.returns + length * np.array([len(words(text)) for text in world.texts])
    world = replace(world, returns=returns)
    found = world.fitted(seed=3)
    assert bool(found.reward.per_word) == bool(length)
    asked = [TypedPrompt("")] * len(world.texts)
    given = found.reward, world.texts, asked
    again = drawn_again(*given, world.returns, world.prompt, 100, 3)
    np.testing.assert_allclose(again, found.draws, atol=1e-9)
    with pytest.raises(InputError, match="not those"):
        drawn_again(*given, world.returns[::-1], world.prompt, 100, 3)


@pytest.mark.slow_extra
def test_about_95_percent_of_the_intervals_cover_the_planted_weights():
    planted, covered = {"w2": -1.5, "w5": 1.5}, []
    many_draws = Fitting(bootstrap_draws=500)
    for seed in range(60):
        world = noise(seed)
        found = world.paying(*planted.values(), terms=tuple(planted)).fitted(many_draws)
        within = intervals(found)
        covered += [
            within[term][0] <= weight <= within[term][1] for term, weight in planted.items()
        ]
    assert 0.87 <= np.mean(covered) <= 0.99


def test_candidates_are_the_frequent_terms_each_counted_once_per_answer():
    texts = ["a b", "a b a a a", "A c", "b d a"] * 10
    assert candidates(texts, 1, Fitting(min_responses=15)) == ["a", "b"]
    assert candidates(texts, 1, Fitting(min_responses=10, max_candidates=1)) == ["a"]
    assert candidates(texts, 2, Fitting(min_responses=11)) == ["a b"]
    assert candidates([], 1, Fitting()) == []


def test_fewer_candidates_than_answers_are_tried():
    texts = [" ".join(VOCABULARY)] * 40
    assert len(candidates(texts, 1, Fitting(min_responses=2))) == 40 // 8
