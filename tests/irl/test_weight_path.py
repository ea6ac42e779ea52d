"""The line through two checkpoints' weights, and the mixture of their logits."""

from pathlib import Path

import pytest
import torch

from irl.config import Loading
from irl.errors import PolicyError
from irl.policies.checkpoint import locate
from irl.policies.load import load_full
from irl.policies.logit_path import sample_mixture
from irl.policies.pair import load_pair
from irl.policies.template import encode_prompt, encode_response
from irl.policies.weight_path import WeightPath
from irl.tensors import TokenSequence
from tests import fakes


@pytest.fixture(
    scope="module", params=["llama", pytest.param("llama_tied", marks=pytest.mark.slow)]
)
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("pair")
    aligned, reference = fakes.save_pair(folder, request.param)
    return str(aligned), str(reference)


def nats(policy: object, texts: tuple[str, ...] = ("the cat sat", " no", "i like")) -> torch.Tensor:
    sequences = [encode_response(policy.tokenizer, "what", text, policy.eos_ids) for text in texts]
    return torch.stack([one.sum() for one in policy.nats(sequences)])


@pytest.mark.slow
def test_both_ends_of_the_line_are_the_checkpoints_and_every_point_is_itself_again(
    pair: tuple[str, str], tmp_path: Path
):
    line = WeightPath(*pair, tmp_path)
    ends = [load_full(locate(source), Loading()) for source in pair]
    for alpha, end in ((0.0, ends[0]), (-1.0, ends[1]), (0.0, ends[0])):
        torch.testing.assert_close(nats(line.at(alpha)), nats(end), atol=1e-5, rtol=0)
    beyond = nats(line.at(1.0))
    assert (beyond - nats(line.at(0.0))).abs().max() > 1e-3
    torch.testing.assert_close(nats(line.at(1.0)), beyond, atol=0, rtol=0)


@pytest.mark.slow
def test_weights_lie_on_the_line(pair: tuple[str, str], tmp_path: Path):
    line = WeightPath(*pair, tmp_path)
    aligned, reference = (
        dict(load_full(locate(source), Loading()).model.named_parameters()) for source in pair
    )
    with line.at(0.5).active():
        for name, weight in line.policy.model.named_parameters():
            there = reference[name] + 1.5 * (aligned[name] - reference[name])
            torch.testing.assert_close(weight, there)


@pytest.mark.slow
def test_a_random_direction_is_as_long_in_every_tensor_and_its_own(
    pair: tuple[str, str], tmp_path: Path
):
    line = WeightPath(*pair, tmp_path)
    aligned, reference = (
        dict(load_full(locate(source), Loading()).model.named_parameters()) for source in pair
    )
    steps = []
    for seed in (0, 1):
        with line.at(1.0, seed).active():
            step = {
                name: (weight - aligned[name]).detach().clone()
                for name, weight in line.policy.model.named_parameters()
            }
        for name, one in step.items():
            long = (aligned[name] - reference[name]).norm()
            torch.testing.assert_close(one.norm(), long, rtol=1e-3, atol=1e-4)
        steps.append(torch.cat([one.flatten() for one in step.values()]))
    cosine = torch.nn.functional.cosine_similarity(*steps, dim=0)
    assert abs(float(cosine)) < 0.05


@pytest.mark.slow
def test_what_is_no_line_is_refused(pair: tuple[str, str], tmp_path: Path):
    other = fakes.save(fakes.model("gpt2"), tmp_path / "other")
    (tmp_path / "scratch").mkdir()
    with pytest.raises(PolicyError, match="other names or shapes"):
        WeightPath(pair[0], str(other), tmp_path / "scratch")


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [-1.0, 0.0, 0.7])
def test_the_mixture_draws_from_what_it_says_it_draws_from(pair: tuple[str, str], alpha: float):
    """Log-probabilities token by token against both policies' own scores of the same answers."""
    both = load_pair(*pair)
    prompts = [encode_prompt(both.tokenizer, text) for text in ("the cat", "i", "what do you")]
    drawn = sample_mixture(both, prompts, alpha, torch.Generator().manual_seed(0), 6)
    sequences = [TokenSequence(p, d.ids) for p, d in zip(prompts, drawn, strict=True)]
    sums = [
        torch.stack([one.sum() for one in side.nats(sequences)])
        for side in (both.aligned, both.reference)
    ]
    found = torch.tensor([one.nats for one in drawn], dtype=torch.float32)
    reference = torch.tensor([one.reference_nats for one in drawn], dtype=torch.float32)
    torch.testing.assert_close(reference, sums[1], atol=1e-3, rtol=0)
    if alpha in (-1.0, 0.0):
        torch.testing.assert_close(found, sums[1 if alpha else 0], atol=1e-3, rtol=0)


@pytest.mark.slow
def test_the_first_token_of_the_mixture_has_its_closed_form(pair: tuple[str, str]):
    both, alpha = load_pair(*pair), 0.7
    prompt = encode_prompt(both.tokenizer, "the cat")
    n = 320
    sequences = [TokenSequence(prompt, (token,)) for token in range(n)]
    aligned, reference = (
        torch.stack([one[0] for one in side.nats(sequences)])
        for side in (both.aligned, both.reference)
    )
    wanted = torch.log_softmax((1 + alpha) * aligned - alpha * reference, 0)
    drawn = sample_mixture(both, [prompt] * 40, alpha, torch.Generator().manual_seed(1), 1)
    for one in drawn:
        assert one.nats == pytest.approx(float(wanted[one.ids[0]]), abs=1e-3)
