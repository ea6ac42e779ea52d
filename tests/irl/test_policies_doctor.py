"""What a doctor says about a pair: every check, with its status."""

import json
from pathlib import Path
from typing import Any

import pytest

from irl.config import Loading
from irl.policies.doctor import BATCH_TOLERANCE_NATS, examine, noise_floor_nats
from irl.policies.pair import PolicyPair, load_pair
from irl.policies.template import encode_response
from irl.records import Check
from irl.tensors import TokenSequence
from tests import fakes

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning")

NAMES = [
    "tokenizers",
    "chat template",
    "BOS",
    "EOS",
    "pad",
    "dtype",
    "adapter",
    "batch invariance",
    "noise floor",
]


def checks(pair: PolicyPair) -> dict[str, Check]:
    return {check.name: check for check in examine(pair)}


def statuses(pair: PolicyPair) -> dict[str, str]:
    return {name: check.status for name, check in checks(pair).items()}


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    return fakes.save_pair(tmp_path)


def pair_of(folders: tuple[Path, Path]) -> PolicyPair:
    return load_pair(*map(str, folders))


def edit_json(file: Path, **changes: Any) -> None:
    document = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(document | changes), encoding="utf-8")


def test_a_sound_pair_passes_every_check_in_reading_order(folders: tuple[Path, Path]):
    found = examine(pair_of(folders))
    assert [check.name for check in found] == NAMES
    assert {check.status for check in found} == {"ok"}


def test_two_full_models_are_told_from_an_adapter(folders: tuple[Path, Path], tmp_path: Path):
    assert "two full models" in checks(pair_of(folders))["adapter"].text
    adapter = fakes.save_adapter(folders[1], tmp_path / "adapter")
    found = checks(load_pair(str(adapter)))
    assert "switched off it is the reference" in found["adapter"].text
    assert {check.status for check in found.values()} == {"ok"}


def test_another_chat_template_is_a_warning_that_names_both(folders: tuple[Path, Path]):
    (folders[1] / "chat_template.jinja").write_text("{{ 'theirs' }}", encoding="utf-8")
    found = checks(pair_of(folders))["chat template"]
    assert found.status == "warning"
    assert "the reference's is" in found.text


def test_a_missing_chat_template_is_a_warning_that_says_none(folders: tuple[Path, Path]):
    (folders[1] / "chat_template.jinja").unlink()
    found = checks(pair_of(folders))["chat template"]
    assert found.status == "warning"
    assert "none" in found.text


def test_other_end_tokens_are_a_warning_that_lists_them(folders: tuple[Path, Path]):
    edit_json(folders[0] / "generation_config.json", eos_token_id=[2, 7])
    found = checks(pair_of(folders))["EOS"]
    assert found.status == "warning"
    assert "[2, 7]" in found.text


def test_half_precision_is_a_warning_that_names_it(folders: tuple[Path, Path]):
    half = load_pair(*map(str, folders), Loading(dtype="bfloat16"))
    assert statuses(half)["dtype"] == "warning"
    assert "bfloat16" in checks(half)["dtype"].text


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "mistral"])
def test_the_noise_floor_in_float32_is_far_below_a_thousandth_of_a_nat(architecture: str):
    policy = fakes.policy(fakes.model(architecture))
    texts = ["the cat", "what do you think about the weather today?", "no."]
    sequences = [encode_response(policy.tokenizer, "", text, policy.eos_ids) for text in texts]
    assert noise_floor_nats(policy, sequences) < BATCH_TOLERANCE_NATS / 10


def test_the_noise_floor_of_a_single_response_is_zero():
    policy = fakes.policy(fakes.model())
    assert noise_floor_nats(policy, [TokenSequence((1, 7), (8, 9, 2))]) == 0.0


def test_a_policy_that_reads_its_batch_mates_fails(folders: tuple[Path, Path]):
    pair = pair_of(folders)

    def leak(module: object, inputs: object, output: Any) -> Any:
        return output + output.mean(dim=0, keepdim=True)

    pair.aligned.model.get_input_embeddings().register_forward_hook(leak)
    found = checks(pair)["batch invariance"]
    assert found.status == "failed"
    assert "batch mates" in found.text
