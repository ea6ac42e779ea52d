"""Attribution: what adds up, what closed forms say, and that captum's own ways agree."""

from collections.abc import Sequence
from itertools import chain, combinations
from math import factorial
from pathlib import Path

import numpy as np
import pytest
import torch
from captum.attr import LayerIntegratedGradients
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from explain.attribution.embedded import Embedded, embedded_log_ratio, embedded_score
from explain.attribution.gradients import FIRST_STEPS, deeplift, gradient_shap, integrated_gradients
from explain.attribution.record import Attribution
from explain.attribution.removal import ablation, kernel_shap
from explain.cuts import words
from explain.segments import segments, text_of, without
from explain.targets import Exchange, log_ratio, reward, scored
from irl.config import Loading
from irl.errors import InputError
from irl.policies.pair import PolicyPair, load_pair
from irl.policies.reward_model import load_scorer
from irl.policies.spans import Span
from irl.rewards.terms import TermReward
from tests import fakes

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")
_SAID = Exchange("what do you think?", " that is a stupid idea and you know it.")


def _insults(exchanges: Sequence[Exchange]) -> Tensor:
    return reward(TermReward(("a", "b", "not b"), (-1.0, 2.0, -5.0)))(exchanges)


@pytest.mark.slow
@settings(max_examples=10, deadline=None)
@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=2, max_size=7))
def test_where_words_do_not_depend_on_each_other_removal_gives_their_weights(
    said: list[str],
) -> None:
    exchange = Exchange("say it", " ".join(said))
    worth = [{"a": -1.0, "b": 2.0, "c": 0.0}[word] for word in said]
    cut = segments(exchange, words, prompt=False)
    for method in (ablation, kernel_shap):
        found = method(_insults, exchange, cut)
        np.testing.assert_allclose(found.values, worth, atol=1e-4)
        assert found.gap < 1e-4


@pytest.mark.slow
def test_kernel_shap_is_the_shapley_value_of_every_subset() -> None:
    exchange = Exchange("", "not b a c")
    cut = segments(exchange, words)
    found = kernel_shap(_insults, exchange, cut, draws=4000)
    np.testing.assert_allclose(found.values, _shapley(_insults, exchange, cut), atol=0.1)
    assert found.gap < 1e-3
    once, again = (kernel_shap(_insults, exchange, cut, draws=100) for _ in range(2))
    np.testing.assert_array_equal(once.values, again.values)


def _shapley(target, exchange: Exchange, cut: list[Span]) -> list[float]:
    """By the definition: the mean over all orders of what a player adds."""
    n, values = len(cut), []
    for player in cut:
        others = [one for one in cut if one is not player]
        subsets = chain.from_iterable(combinations(others, k) for k in range(n))
        total = 0.0
        for there in subsets:
            weight = factorial(len(there)) * factorial(n - len(there) - 1) / factorial(n)
            gone = [one for one in others if one not in there]
            with_it, without_it = target(
                [without(exchange, gone), without(exchange, [*gone, player])]
            ).tolist()
            total += weight * (with_it - without_it)
        values.append(total)
    return values


def test_captums_draws_leave_the_global_generators_alone() -> None:
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    kernel_shap(_insults, _SAID, segments(_SAID, words), seed=3)
    assert torch.equal(torch.get_rng_state(), torch_before)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002


def test_an_exchange_of_one_word_or_none_is_attributed_too() -> None:
    for response, value in (("b", [2.0]), ("", [])):
        exchange = Exchange("", response)
        found = kernel_shap(_insults, exchange, segments(exchange, words))
        assert found.values.tolist() == value


def _pair(folder: Path, architecture: str = "llama") -> PolicyPair:
    return load_pair(*map(str, fakes.save_pair(folder, architecture)))


@pytest.mark.slow
@pytest.mark.parametrize("architecture", fakes.ARCHITECTURES)
def test_integrated_gradients_add_up_to_the_log_ratio(tmp_path: Path, architecture: str) -> None:
    pair = _pair(tmp_path, architecture)
    found = integrated_gradients(embedded_log_ratio(pair)(_SAID), spread=1.0)
    assert found.target == pytest.approx(float(log_ratio(pair)([_SAID])), abs=1e-3)
    assert found.relative_gap(1.0) < 0.01
    by_word = found.grouped(segments(_SAID, words))
    assert by_word.values.sum() == pytest.approx(found.values.sum(), abs=1e-9)
    assert text_of(_SAID, by_word.segments[-1]) == "."


def test_an_adapter_and_its_base_are_told_apart(tmp_path: Path) -> None:
    base = fakes.save(fakes.model(), tmp_path / "base")
    adapter = fakes.save_adapter(base, tmp_path / "adapter")
    pair = load_pair(str(adapter))
    found = integrated_gradients(embedded_log_ratio(pair)(_SAID), spread=1.0)
    assert found.target == pytest.approx(float(log_ratio(pair)([_SAID])), abs=1e-3)
    assert found.relative_gap(1.0) < 0.01


@pytest.mark.slow
def test_it_is_captums_layer_integrated_gradients_token_by_token(tmp_path: Path) -> None:
    """The slow twin: one gradient for each token of the response, the layer hooked by captum."""
    policy = _pair(tmp_path).aligned
    said = Exchange("what do you think?", " that is stupid.")
    embedded = embedded_log_ratio(PolicyPair(policy, policy))(said)
    alone = Embedded(
        embedded.scalar.one,
        embedded.embedders[:1],
        embedded.ids,
        embedded.tokens,
        embedded.neutral_ids,
    )
    ours = integrated_gradients(alone, tolerance=1e-6)
    ids, start = embedded.ids, len(policy.tokenizer(said.prompt)["input_ids"])
    special = torch.tensor([[span is None for span in embedded.tokens]])
    neutral = torch.where(special, ids, torch.full_like(ids, embedded.neutral_ids[0]))
    total = torch.zeros(ids.shape[1], dtype=torch.float64)
    for at in range(start, ids.shape[1]):

        def one_token(rows: Tensor, at: int = at) -> Tensor:
            return policy.model(rows[:, :at]).logits[:, -1].log_softmax(-1)[:, ids[0, at]]

        method = LayerIntegratedGradients(one_token, policy.body.get_input_embeddings())
        values = method.attribute(ids, neutral, n_steps=64, internal_batch_size=64)
        total[: values.shape[1]] += values.sum(-1)[0].double()
    text = [at for at, span in enumerate(embedded.tokens) if span is not None]
    np.testing.assert_allclose(ours.values, total[text].numpy(), atol=1e-4)


def test_half_precision_is_followed_too_and_its_gap_is_told(tmp_path: Path) -> None:
    folders = map(str, fakes.save_pair(tmp_path))
    pair = load_pair(*folders, Loading(dtype="bfloat16"))
    found = integrated_gradients(embedded_log_ratio(pair)(_SAID), spread=1.0, tolerance=0.5)
    assert found.target == pytest.approx(float(log_ratio(pair)([_SAID])), abs=0.5)
    assert np.isfinite(found.values).all()


@pytest.mark.slow
def test_memory_is_bounded_without_another_result(tmp_path: Path) -> None:
    embedded = embedded_log_ratio(_pair(tmp_path))(_SAID)
    wide = integrated_gradients(embedded)
    narrow = integrated_gradients(embedded, token_budget=len(embedded.tokens))
    np.testing.assert_allclose(wide.values, narrow.values, atol=1e-5)


def test_a_reward_model_is_read_at_its_end_whatever_its_pad(tmp_path: Path) -> None:
    model = load_scorer(str(fakes.save(fakes.model(), tmp_path / "policy")), Loading())
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.score.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator))
    model.tokenizer.pad_token = ","
    found = integrated_gradients(embedded_score(model)(_SAID))
    assert found.target == pytest.approx(float(scored(model)([_SAID])), abs=1e-4)
    assert found.relative_gap(0.0) < 0.01
    with pytest.raises(InputError, match="reads 64"):
        embedded_score(model)(Exchange("", "the cat " * 60))


class _Bags(nn.Module):
    """A score of summed embeddings: weights times them, through a hinge or not."""

    def __init__(self, *, hinge: bool) -> None:
        super().__init__()
        self.hinge = nn.ReLU() if hinge else nn.Identity()
        self.weights = torch.tensor([1.0, -2.0, 0.5])

    def forward(self, rows: Tensor) -> Tensor:
        return self.hinge((rows @ self.weights).sum(1))


def _bag(*, hinge: bool) -> Embedded:
    table = nn.Embedding.from_pretrained(torch.eye(3) * torch.tensor([1.0, -3.0, 4.0]))
    tokens: list[Span | None] = [Span(0, 0, 1), Span(0, 1, 2), None]
    return Embedded(_Bags(hinge=hinge), (table,), torch.tensor([[1, 2, 1]]), tokens, (0,))


def test_what_is_linear_is_known_in_closed_form_and_special_tokens_stay() -> None:
    for method in (integrated_gradients, gradient_shap, deeplift):
        found = method(_bag(hinge=False))
        np.testing.assert_allclose(found.values, [5.0, 1.0], atol=1e-5)
        assert (found.target, found.baseline) == pytest.approx((14.0, 8.0))
        assert found.gap < 1e-5


def test_random_baselines_are_the_same_texts_for_both_policies() -> None:
    """Between a policy and itself nothing is gained, whatever the draws; captum draws apart."""
    same = fakes.policy(fakes.model())
    found = gradient_shap(embedded_log_ratio(PolicyPair(same, same))(_SAID))
    np.testing.assert_allclose(found.values, 0.0, atol=1e-4)
    assert found.evaluations == FIRST_STEPS


def test_deeplift_adds_up_where_captum_has_a_rule_and_says_so_where_not(tmp_path: Path) -> None:
    assert deeplift(_bag(hinge=True)).gap < 1e-5
    found = deeplift(embedded_log_ratio(_pair(tmp_path))(_SAID))
    assert found.gap > 0.01, "attention has none"


def test_a_gap_is_relative_to_what_is_explained_or_to_the_run() -> None:
    one = Attribution("x", [Span(0, 0, 1)], np.array([1.1]), 1.0, 0.0, 1)
    assert one.gap == pytest.approx(0.1)
    assert one.relative_gap(0.5) == pytest.approx(0.1)
    assert one.relative_gap(10.0) == pytest.approx(0.01)
    nothing = Attribution("x", [], np.array([]), 1.0, 1.0, 1)
    assert nothing.relative_gap(0.0) == 0.0
