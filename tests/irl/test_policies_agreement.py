"""Scores are those of plain transformers, whatever is scored beside them."""

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from peft import AutoPeftModelForCausalLM
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel

from irl.config import Sampling
from irl.engine.scoring import score_policy
from irl.policies.pair import PolicyPair, load_pair
from irl.policies.policy import Policy
from irl.policies.template import PromptText, encode_response
from irl.tensors import TokenSequence, right_padded
from tests import fakes

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")

TOLERANCE_NATS = 1e-4
"per response"
CHAT = [{"role": "user", "content": "what do you think?"}]
LONG_CHAT = [*CHAT, {"role": "assistant", "content": "fine."}, {"role": "user", "content": "why?"}]
PLAIN = {
    "": "the cat sat on the mat",
    "please tell me more about": " your new house, it sounds lovely!",
    "the": " dog.",
    "no, that is a stupid idea": "",
}
CHATS = [(CHAT, "i think it is fine."), (LONG_CHAT, "no, i like green apples and 12 pears.")]
TEXTS: dict[str, list[tuple[PromptText, str]]] = {"plain": list(PLAIN.items()), "chat": CHATS}


@dataclass(frozen=True)
class Stored:
    """An adapter over its base, on disk and as plain transformers and peft load it."""

    adapter: Path
    base: Path
    pair: PolicyPair
    plain_aligned: PreTrainedModel
    plain_reference: PreTrainedModel

    def sequences(self, kind: str) -> list[TokenSequence]:
        pair = self.pair
        return [
            encode_response(pair.tokenizer, prompt, response, pair.eos_ids)
            for prompt, response in TEXTS[kind]
        ]


@pytest.fixture(scope="module", params=[*fakes.ARCHITECTURES, *fakes.SCALED_HEADS])
def stored(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Stored:
    folder = tmp_path_factory.mktemp(request.param)
    base = fakes.save(fakes.model(request.param), folder / "base")
    adapter = fakes.save_adapter(base, folder / "adapter", request.param)
    return Stored(
        adapter,
        base,
        load_pair(str(adapter)),
        AutoPeftModelForCausalLM.from_pretrained(adapter).eval(),
        AutoModelForCausalLM.from_pretrained(base).eval(),
    )


@torch.inference_mode()
def slow_nats(model: PreTrainedModel, sequence: TokenSequence) -> list[float]:
    """One unpadded sequence, its whole log-softmax in float64, one entry per response token."""
    prompt, response = sequence.prompt_ids, sequence.response_ids
    logits = model(torch.tensor([[*prompt, *response]])).logits[0].double()
    whole = torch.log_softmax(logits, dim=-1)
    return [whole[len(prompt) - 1 + at, token].item() for at, token in enumerate(response)]


def assert_agrees(policy: Policy, model: PreTrainedModel, sequences: list[TokenSequence]) -> None:
    for sequence, nats in zip(sequences, policy.nats(sequences), strict=True):
        slow = slow_nats(model, sequence)
        assert nats.tolist() == pytest.approx(slow, abs=TOLERANCE_NATS)
        assert nats.double().sum().item() == pytest.approx(sum(slow), abs=TOLERANCE_NATS)


def summed(nats: list[Tensor]) -> list[float]:
    return [row.double().sum().item() for row in nats]


@pytest.mark.parametrize("kind", TEXTS)
def test_the_reference_scores_as_plain_transformers_does(stored: Stored, kind: str):
    assert_agrees(stored.pair.reference, stored.plain_reference, stored.sequences(kind))


@pytest.mark.parametrize("kind", TEXTS)
def test_an_adapter_scores_as_plain_peft_does(stored: Stored, kind: str):
    assert_agrees(stored.pair.aligned, stored.plain_aligned, stored.sequences(kind))


def test_the_adapter_changes_every_score(stored: Stored):
    sequences = stored.sequences("plain")
    ours, theirs = (
        summed(side.nats(sequences)) for side in (stored.pair.aligned, stored.pair.reference)
    )
    assert all(
        abs(one - other) > 100 * TOLERANCE_NATS for one, other in zip(ours, theirs, strict=True)
    )


def test_a_full_checkpoint_scores_as_the_adapter_that_was_merged_into_it(
    stored: Stored, tmp_path: Path
):
    merged = AutoPeftModelForCausalLM.from_pretrained(stored.adapter).merge_and_unload()
    full = load_pair(str(fakes.save(merged, tmp_path / "merged")), str(stored.base))
    assert_agrees(full.aligned, stored.plain_aligned, stored.sequences("chat"))
    assert_agrees(full.reference, stored.plain_reference, stored.sequences("chat"))


@pytest.mark.parametrize("kind", TEXTS)
def test_scores_do_not_depend_on_batch_mates_order_or_budget(stored: Stored, kind: str):
    sequences = stored.sequences(kind)
    alone = [summed(stored.pair.aligned.nats([sequence]))[0] for sequence in sequences]
    backwards = summed(stored.pair.aligned.nats(sequences[::-1]))[::-1]
    assert backwards == pytest.approx(alone, abs=TOLERANCE_NATS)
    for budget in (64, 100, 16384):
        scored = score_policy(stored.pair.aligned, sequences, Sampling(token_budget=budget))
        assert summed(scored) == pytest.approx(alone, abs=TOLERANCE_NATS)


def test_nothing_after_a_position_changes_its_score(stored: Stored):
    whole = stored.sequences("chat")[1]
    cut = TokenSequence(whole.prompt_ids, whole.response_ids[:4])
    longer, shorter = stored.pair.aligned.nats([whole, cut])
    assert longer[:4].tolist() == pytest.approx(shorter.tolist(), abs=TOLERANCE_NATS)


def test_the_pad_token_has_no_influence(stored: Stored):
    sequences = stored.sequences("plain")
    policy = stored.pair.aligned
    by_pad = [policy.batch_nats(right_padded(sequences, pad)) for pad in (0, 2, 77)]
    for one, other in pairwise(by_pad):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_padding_side_of_the_tokenizer_has_no_influence(tmp_path: Path, side: str):
    aligned, reference = fakes.save_pair(tmp_path)
    for folder in (aligned, reference):
        file = folder / "tokenizer_config.json"
        settings = json.loads(file.read_text(encoding="utf-8"))
        file.write_text(json.dumps(settings | {"padding_side": side}), encoding="utf-8")
    pair = load_pair(str(aligned), str(reference))
    assert pair.tokenizer.padding_side == side
    sequences = [
        encode_response(pair.tokenizer, prompt, response, pair.eos_ids)
        for prompt, response in [*TEXTS["plain"], *TEXTS["chat"]]
    ]
    assert_agrees(pair.aligned, AutoModelForCausalLM.from_pretrained(aligned), sequences)


def test_an_adapter_scores_as_weights_plus_scaled_b_times_a(tmp_path: Path):
    base = fakes.save(fakes.model(), tmp_path / "base")
    adapter = fakes.save_adapter(base, tmp_path / "adapter", r=4, lora_alpha=12)
    by_hand = fakes.model()
    low_rank = load_file(adapter / "adapter_model.safetensors")
    weights = by_hand.state_dict()
    for name, first in low_rank.items():
        if "lora_A" in name:
            second = low_rank[name.replace("lora_A", "lora_B")]
            target = name.removeprefix("base_model.model.").replace(".lora_A", "")
            weights[target] += 12 / 4 * second @ first
    pair = load_pair(str(adapter))
    sequence = encode_response(pair.tokenizer, CHAT, "i like green apples.", pair.eos_ids)
    assert_agrees(pair.aligned, by_hand, [sequence])


@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`")
@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_an_adapter_with_an_output_layer_of_its_own_scores_as_plain_peft_does(
    tmp_path: Path, architecture: str
):
    """Tied to the input layer (GPT-2) or not (Llama)."""
    plain = fakes.model(architecture)
    base = fakes.save(plain, tmp_path / "base")
    adapter = fakes.save_adapter(
        base, tmp_path / "adapter", architecture, modules_to_save=["lm_head"]
    )
    pair = load_pair(str(adapter))
    sequence = encode_response(pair.tokenizer, CHAT, "i like green apples.", pair.eos_ids)
    peft = AutoPeftModelForCausalLM.from_pretrained(adapter).eval()
    assert_agrees(pair.aligned, peft, [sequence])
    assert_agrees(pair.reference, plain, [sequence])
    assert_agrees(pair.aligned, peft, [sequence])


def test_the_head_is_applied_to_response_positions_only():
    policy = fakes.policy(fakes.model())
    rows: list[int] = []
    policy.model.get_output_embeddings().register_forward_hook(
        lambda module, inputs, output: rows.append(len(inputs[0]))
    )
    policy.nats([TokenSequence((1, 7, 8, 9, 10), (5, 6, 2)), TokenSequence((1,), (3, 4))])
    assert rows == [5]
