"""A pair without weights is the pair in all but its weights."""

from pathlib import Path

import pytest
import torch

from irl.config import Loading
from irl.errors import PolicyError
from irl.policies.pair import PolicyPair, load_pair
from irl.tensors import TokenSequence
from tests import fakes

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning"),
]
SEQUENCE = TokenSequence((1, 5), (7, 9, 2))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    for name in fakes.CONFIGS:
        fakes.save(fakes.model(name), folder / name)
    for base in ("llama", "gpt2"):
        fakes.save_adapter(folder / base, folder / f"{base}-adapter", base)
    return folder


def told(pair: PolicyPair) -> object:
    """All that a run asks of a pair, but for scores."""
    both = pair.aligned, pair.reference
    sides = [(side.checkpoint, side.eos_ids, side.folder) for side in both]
    vocabulary = pair.tokenizer.get_vocab(), pair.tokenizer.chat_template
    return sides, pair.context_tokens, pair.eos_ids, pair.origin, vocabulary


@pytest.mark.parametrize(
    ("architecture", "dtype"),
    [("llama", "bfloat16"), *((name, "float32") for name in sorted(fakes.CONFIGS))],
)
def test_an_outline_says_of_a_model_what_its_weights_would(
    store: Path, architecture: str, dtype: str
):
    folder, loading = str(store / architecture), Loading.checked({"dtype": dtype})
    outline = load_pair(folder, folder, loading, weights=False)
    assert told(outline) == told(load_pair(folder, folder, loading))
    assert {weight.device.type for weight in outline.aligned.model.parameters()} == {"meta"}


@pytest.mark.parametrize("base", ["llama", "gpt2"])
def test_an_outline_says_of_an_adapter_what_its_weights_would(store: Path, base: str):
    folder = str(store / f"{base}-adapter")
    outline = load_pair(folder, weights=False)
    assert told(outline) == told(load_pair(folder))
    assert outline.aligned.model is outline.reference.model, "sides take turns as they would"


def test_outlines_are_not_called_identical(store: Path):
    folder = str(store / "llama")
    assert not load_pair(folder, folder, weights=False).identical()


def test_an_outline_refuses_what_can_be_seen_without_weights(store: Path, tmp_path: Path):
    config = tmp_path / "config.json"
    config.write_text('{"model_type": "unheard-of"}', encoding="utf-8")
    with pytest.raises(PolicyError, match="cannot be loaded as a causal language model"):
        load_pair(str(tmp_path), str(store / "llama"), weights=False)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["llama", "gpt2", "llama_tied", "llama-adapter"])
def test_a_model_that_is_placed_by_itself_scores_and_draws_as_another(store: Path, name: str):
    """On a CPU everything lies in one place; what is tried is the way."""
    sides = (str(store / name), None if "adapter" in name else str(store / "llama"))
    plain = load_pair(*sides)
    placed = load_pair(*sides, Loading(device="auto"))
    for side in ("aligned", "reference"):
        ours, theirs = getattr(placed, side), getattr(plain, side)
        torch.testing.assert_close(ours.nats([SEQUENCE]), theirs.nats([SEQUENCE]))
