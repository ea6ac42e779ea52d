"""Hidden states and gradients: finite differences, closed forms, and what captum makes of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from explain.concepts.directions import Answers, Texts, along
from explain.concepts.states import of_policy, read_log_ratio, read_score, states_of
from explain.targets import Exchange, encode_exchanges, log_ratio
from irl.config import Loading
from irl.errors import InputError, PolicyError
from irl.policies.pair import PolicyPair, load_pair
from irl.policies.reward_model import load_scorer
from irl.tensors import TokenSequence
from tests import fakes

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")
SAID = [
    Exchange("what do you think?", " that is a stupid idea and you know it."),
    Exchange("what do you think?", " fine."),
    Exchange("", "the cat"),
]
LAYERS = (1, 2)


@pytest.fixture(scope="module")
def pair() -> PolicyPair:
    reference = fakes.model()
    return PolicyPair(fakes.policy(fakes.nudged(reference)), fakes.policy(reference))


@contextmanager
def moved(layer: nn.Module, start: int, by: Tensor) -> Iterator[None]:
    """The layer's output, moved at every position from the start of the response on."""

    def move(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        output = output.clone()
        output[:, start:] += by
        return output

    handle = layer.register_forward_hook(move)
    try:
        yield
    finally:
        handle.remove()


def test_gradients_are_what_moving_the_states_of_the_response_does(pair: PolicyPair) -> None:
    found = read_log_ratio(pair).read(SAID, LAYERS)
    np.testing.assert_allclose(found.values, log_ratio(pair)(SAID).numpy(), atol=1e-4)
    (sequence,) = encode_exchanges(pair, SAID[:1], "auto")
    start, step = len(sequence.prompt_ids), 1e-2
    width = found.hidden.shape[2] // 2
    generator = torch.Generator().manual_seed(0)
    for policy, half in ((pair.aligned, slice(width)), (pair.reference, slice(width, None))):
        for at, layer in enumerate((policy.body.layers[0], policy.body.norm)):
            along_it = torch.randn(width, generator=generator)
            sides = []
            for sign in (1, -1):
                with moved(layer, start, sign * step * along_it):
                    sides.append(float(log_ratio(pair)(SAID[:1])))
            by_hand = (sides[0] - sides[1]) / (2 * step)
            derivative = float(found.gradient[0, at, half] @ along_it.numpy())
            assert derivative == pytest.approx(by_hand, rel=0.02, abs=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", fakes.ARCHITECTURES)
def test_the_last_layer_is_what_the_head_reads(architecture: str) -> None:
    policy = fakes.policy(fakes.model(architecture))
    (sequence,) = encode_exchanges(PolicyPair(policy, policy), SAID[:1], "auto")
    found = states_of(of_policy(policy), [sequence], LAYERS, 512)
    ids = torch.tensor([[*sequence.prompt_ids, *sequence.response_ids]])
    start = len(sequence.prompt_ids)
    last = policy.body(input_ids=ids).last_hidden_state[0].detach().requires_grad_()
    nats = policy.head(last).log_softmax(-1)[range(start - 1, ids.shape[1] - 1), ids[0, start:]]
    nats.sum().backward()
    assert last.grad is not None
    by_hand = last.grad[start:].sum(0)
    np.testing.assert_allclose(
        found.gradient[0, 1], by_hand, atol=1e-3 * float(by_hand.abs().max())
    )
    np.testing.assert_allclose(found.hidden[0, 1], last[start:].mean(0).detach(), atol=1e-4)
    assert found.values[0] == pytest.approx(nats.sum().item(), abs=1e-3)
    assert found.gradient[0, 0].any()


def test_over_a_policys_own_answers_the_mean_gradient_is_nought(pair: PolicyPair) -> None:
    """All second tokens behind one first token, by their probabilities: the policy sums to 1."""
    vocabulary = range(pair.aligned.model.config.vocab_size)
    sequences = [TokenSequence((5, 6), (7, token)) for token in vocabulary]
    found = states_of(of_policy(pair.aligned), sequences, LAYERS, 512)
    chances = np.exp(found.values) / np.exp(found.values).sum()
    mean = np.einsum("i,ilw->lw", chances, found.gradient)
    assert np.abs(mean).max() < 1e-3 * np.abs(found.gradient).max()


def test_neither_the_batch_nor_its_size_matters(pair: PolicyPair) -> None:
    reading = read_log_ratio(pair)
    together, alone = reading.read(SAID, LAYERS), reading.read(SAID[2:], LAYERS)
    narrow = read_log_ratio(pair, token_budget=1).read(SAID, LAYERS)
    for name in ("values", "hidden", "gradient"):
        whole = getattr(together, name)
        np.testing.assert_allclose(whole, getattr(narrow, name), atol=1e-3)
        np.testing.assert_allclose(whole[2:], getattr(alone, name), atol=1e-3)


def test_of_equal_policies_nothing_is_left(pair: PolicyPair) -> None:
    found = read_log_ratio(PolicyPair(pair.aligned, pair.aligned)).read(SAID, LAYERS)
    ours, theirs = np.split(found.gradient, 2, axis=2)
    assert not found.values.any()
    np.testing.assert_array_equal(ours, -theirs)


def test_policies_of_different_depth_are_refused(pair: PolicyPair) -> None:
    deeper = fakes.policy(fakes.model())
    deeper.model.config.num_hidden_layers = 3
    with pytest.raises(PolicyError, match="2 and 3 layers"):
        read_log_ratio(PolicyPair(pair.aligned, deeper))


@pytest.mark.slow
def test_an_adapter_on_a_frozen_base_is_followed_on_both_sides(tmp_path: Path) -> None:
    base = fakes.save(fakes.model(), tmp_path / "base")
    adapted = load_pair(str(fakes.save_adapter(base, tmp_path / "adapter")))
    found = read_log_ratio(adapted).read(SAID, LAYERS)
    np.testing.assert_allclose(found.values, log_ratio(adapted)(SAID).numpy(), atol=1e-3)
    assert all(half.any() for half in np.split(found.gradient, 2, axis=2))


@pytest.mark.slow
def test_a_reward_model_that_reads_its_last_state_has_its_weights_as_gradient(
    tmp_path: Path,
) -> None:
    model = load_scorer(str(fakes.save(fakes.model(), tmp_path / "policy")), Loading())
    weights = torch.randn(32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        model.score.weight.copy_(weights[None])
    reading = read_score(model)
    found = reading.read(SAID, LAYERS)
    assert (reading.layers, reading.unit) == (2, "units of the reward")
    for row in found.gradient[:, 1]:
        np.testing.assert_allclose(row, weights.numpy(), atol=1e-6)
    with pytest.raises(InputError, match="reads 64"):
        reading.read([Exchange("", "the cat " * 60)], LAYERS)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_score_of_kim_et_al_is_captums(tmp_path: Path) -> None:
    from captum.attr import LayerGradientXActivation
    from captum.concept import TCAV, Classifier
    from captum.concept import Concept as CaptumConcept

    rng, n, width = np.random.default_rng(0), 60, 5
    stratum = np.repeat(np.arange(10), 6)
    texts = Texts(
        rng.normal(size=(n, width)).astype(np.float32), stratum, 5 * stratum + 1
    )  # another fold than that of the answers, so they all meet one direction
    has = np.tile([True, False], n // 2)
    weights = texts.weights(has)[:, None]
    direction = torch.from_numpy(texts.learners[0](weights)[:, 0]).float()

    class Toy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Identity()
            self.mix = nn.Linear(width, width)

        def forward(self, rows: Tensor) -> Tensor:
            return torch.sin(self.mix(self.layer(rows))).sum(1)

    class Given(Classifier):
        def __init__(self) -> None:
            pass

        def train_and_eval(self, dataloader: object, **kwargs: object) -> dict[str, Tensor]:
            return {"accs": torch.tensor(1.0)}

        def weights(self) -> Tensor:
            return torch.stack([direction, -direction])

        def classes(self) -> list[int]:
            return [0, 1]

    torch.manual_seed(0)  # noqa: TID251
    toy, rows = Toy(), torch.randn(40, width)
    states = rows.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(toy(states).sum(), states)
    answers = Answers(rows.numpy(), gradient.numpy(), rng.normal(size=40), 5 * (np.arange(40) // 8))
    own = along(texts, weights, answers).tcav.mean()
    kinds = [
        CaptumConcept(number, name, torch.utils.data.DataLoader(torch.from_numpy(part)))
        for number, name, part in ((0, "with", texts.hidden[has]), (1, "no", texts.hidden[~has]))
    ]
    method = LayerGradientXActivation(toy, None, multiply_by_inputs=False)
    theirs = TCAV(
        toy, ["layer"], classifier=Given(), layer_attr_method=method, save_path=str(tmp_path)
    ).interpret(rows, [kinds])
    assert own == pytest.approx(float(theirs["0-1"]["layer"]["sign_count"][0]))
