"""Which pairs are loaded, and which are refused with which words."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import IA3Config, get_peft_model
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM, dynamic_module_utils

from irl.config import Loading
from irl.errors import PolicyError
from irl.organisms.language import train_tokenizer
from irl.policies.pair import PolicyPair, load_pair
from irl.tensors import TokenSequence
from tests import fakes

pytestmark = pytest.mark.filterwarnings(
    "ignore:.is_gradient_checkpointing.:FutureWarning",
    "ignore:Careful, disabling adapter layers with bias:UserWarning",
)

Weights = dict[str, Tensor]
SEQUENCE = TokenSequence((1, 20, 30, 40), (50, 60, 70, 2))
DOWN = "model.layers.1.mlp.down_proj.weight"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """base/, nudged/ and adapter/, from which each test copies what it spoils."""
    folder = tmp_path_factory.mktemp("store")
    fakes.save(fakes.model(), folder / "base")
    fakes.save(fakes.nudged(fakes.model()), folder / "nudged")
    fakes.save_adapter(folder / "base", folder / "adapter")
    return folder


@pytest.fixture
def copy(store: Path, tmp_path: Path) -> Callable[[str, str], Path]:
    """Copy one of the stored folders under a new name."""
    return lambda kind, name: Path(shutil.copytree(store / kind, tmp_path / name))


Copy = Callable[[str, str], Path]


def load(aligned: Path, reference: Path | None = None, **loading: Any) -> PolicyPair:
    return load_pair(
        str(aligned), None if reference is None else str(reference), Loading(**loading)
    )


def refusal(aligned: Path, reference: Path | None = None, **loading: Any) -> str:
    """The sentence with which a pair is refused."""
    with pytest.raises(PolicyError) as refused:
        load(aligned, reference, **loading)
    sentence = str(refused.value)
    assert "\n" not in sentence
    return sentence


def edit_json(file: Path, **changes: Any) -> None:
    document = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(document | changes), encoding="utf-8")


def edit_weights(file: Path, edit: Callable[[Weights], Weights]) -> None:
    save_file(edit(load_file(file)), file, metadata={"format": "pt"})


def cut(file: Path, n_bytes: int) -> None:
    file.write_bytes(file.read_bytes()[:-n_bytes])


def with_nan(weights: Weights) -> Weights:
    weights[DOWN][3, 4] = float("nan")
    return weights


def score(pair: PolicyPair) -> list[float]:
    sides = (pair.aligned, pair.reference)
    return [side.nats([SEQUENCE])[0].double().sum().item() for side in sides]


# --- folders without a usable model -----------------------------------------------------------


def test_a_folder_without_a_model_is_refused(store: Path, tmp_path: Path):
    sentence = refusal(tmp_path, store / "base")
    assert str(tmp_path) in sentence
    assert "holds no model" in sentence


def test_a_file_is_refused(store: Path):
    assert "is a file" in refusal(store / "base" / "config.json", store / "base")


def test_a_path_that_does_not_exist_is_refused(store: Path, tmp_path: Path):
    assert f"no directory {tmp_path / 'nowhere'}" in refusal(tmp_path / "nowhere", store / "base")


@pytest.mark.parametrize("n_bytes", [100, 80_000])
def test_a_truncated_safetensors_file_is_refused(copy: Copy, store: Path, n_bytes: int):
    aligned = copy("nudged", "aligned")
    cut(aligned / "model.safetensors", n_bytes)
    sentence = refusal(aligned, store / "base")
    assert str(aligned) in sentence
    assert "truncated or damaged" in sentence


def test_an_empty_safetensors_file_is_refused(copy: Copy, store: Path):
    aligned = copy("nudged", "aligned")
    (aligned / "model.safetensors").write_bytes(b"")
    assert "truncated or damaged" in refusal(aligned, store / "base")


def test_weights_that_are_not_there_are_refused(copy: Copy, store: Path):
    aligned = copy("nudged", "aligned")
    (aligned / "model.safetensors").unlink()
    assert "no file named model.safetensors" in refusal(aligned, store / "base")


def test_nan_weights_are_refused_by_name(copy: Copy, store: Path):
    aligned = copy("nudged", "aligned")
    edit_weights(aligned / "model.safetensors", with_nan)
    sentence = refusal(aligned, store / "base")
    assert "NaN" in sentence
    assert DOWN in sentence


def test_nan_weights_of_the_reference_are_refused_too(copy: Copy, store: Path):
    reference = copy("base", "reference")
    edit_weights(reference / "model.safetensors", with_nan)
    assert str(reference) in refusal(store / "nudged", reference)


def test_missing_tensors_are_refused_by_name_and_number(copy: Copy, store: Path):
    aligned = copy("nudged", "aligned")
    edit_weights(
        aligned / "model.safetensors",
        lambda weights: {name: value for name, value in weights.items() if ".1.mlp" not in name},
    )
    sentence = refusal(aligned, store / "base")
    assert "lacks 3 of the model's tensors" in sentence
    assert DOWN in sentence


def test_tensors_of_another_size_are_refused_by_name(copy: Copy, store: Path):
    aligned = copy("nudged", "aligned")
    edit_weights(aligned / "model.safetensors", lambda weights: weights | {DOWN: torch.zeros(3, 4)})
    sentence = refusal(aligned, store / "base")
    assert DOWN in sentence
    assert "[3, 4] instead of [32, 48]" in sentence


def test_a_config_that_is_no_json_is_refused(copy: Copy, store: Path):
    aligned = copy("nudged", "aligned")
    (aligned / "config.json").write_text("{", encoding="utf-8")
    assert "not a valid JSON file" in refusal(aligned, store / "base")


def test_an_unknown_architecture_is_refused_by_name(copy: Copy, store: Path):
    aligned = copy("nudged", "aligned")
    edit_json(aligned / "config.json", model_type="nonsense")
    assert "`nonsense`" in refusal(aligned, store / "base")


def test_a_full_model_without_a_reference_is_refused(store: Path):
    assert "give --reference" in refusal(store / "nudged")


# --- tokenizers -------------------------------------------------------------------------------


def edit_tokenizer(folder: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    file = folder / "tokenizer.json"
    document = json.loads(file.read_text(encoding="utf-8"))
    edit(document)
    file.write_text(json.dumps(document), encoding="utf-8")


def swap_two_ids(document: dict[str, Any]) -> None:
    ids = document["model"]["vocab"]
    ids["Ġ"], ids["a"] = ids["a"], ids["Ġ"]


def swap_two_merges(document: dict[str, Any]) -> None:
    merges = document["model"]["merges"]
    merges[-1], merges[-2] = merges[-2], merges[-1]


def keep_case(document: dict[str, Any]) -> None:
    document["normalizer"] = None


def keep_apostrophes(document: dict[str, Any]) -> None:
    document["normalizer"]["normalizers"] = document["normalizer"]["normalizers"][:2]


def add_no_bos(document: dict[str, Any]) -> None:
    document["post_processor"] = None


def test_tokenizers_of_different_size_are_refused_with_both_sizes(copy: Copy, store: Path):
    aligned = copy("nudged", "aligned")
    train_tokenizer(fakes.SENTENCES * 3, 310).save_pretrained(aligned)
    assert "310 and 320 tokens" in refusal(aligned, store / "base")


@pytest.mark.parametrize(
    ("edit", "cause"),
    [
        (swap_two_ids, "2 tokens have other ids"),
        (swap_two_merges, "merges or scores"),
        (keep_case, "the text 'Hello there.' becomes"),
        (keep_apostrophes, "the text .* becomes"),
        (add_no_bos, "the text '' becomes"),
    ],
)
def test_tokenizers_that_read_text_differently_are_refused(
    copy: Copy, store: Path, edit: Callable[[dict[str, Any]], None], cause: str
):
    aligned = copy("nudged", "aligned")
    edit_tokenizer(aligned, edit)
    sentence = refusal(aligned, store / "base")
    assert "tokenise differently" in sentence
    assert re.search(cause, sentence)


def test_another_chat_template_is_no_reason_to_refuse(copy: Copy, store: Path):
    aligned = copy("nudged", "aligned")
    (aligned / "chat_template.jinja").write_text("{{ 'mine' }}", encoding="utf-8")
    pair = load(aligned, store / "base")
    assert pair.tokenizer.chat_template == "{{ 'mine' }}"


def test_the_template_of_the_reference_serves_an_aligned_model_without_one(copy: Copy, store: Path):
    aligned = copy("nudged", "aligned")
    (aligned / "chat_template.jinja").unlink()
    pair = load(aligned, store / "base")
    assert pair.tokenizer.chat_template == fakes.tokenizer().chat_template


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gpt_neox", "gemma"])
def test_a_checkpoint_without_a_tokenizer_is_refused(tmp_path: Path, architecture: str):
    fakes.model(architecture).save_pretrained(tmp_path)
    sentence = refusal(tmp_path, tmp_path)
    assert "tokenizer" in sentence
    assert "save it beside the model" in sentence


# --- adapters that are refused ----------------------------------------------------------------


def settings_of(adapter: Path) -> Path:
    return adapter / "adapter_config.json"


def test_an_adapter_that_replaces_modules_is_refused_by_their_names(store: Path, tmp_path: Path):
    replaced = ["embed_tokens", "lm_head"]
    adapter = fakes.save_adapter(store / "base", tmp_path / "adapter", modules_to_save=replaced)
    assert f"modules_to_save = {replaced}" in refusal(adapter)


def test_an_adapter_that_is_not_lora_is_refused_by_its_type(store: Path, tmp_path: Path):
    base = AutoModelForCausalLM.from_pretrained(store / "base")
    config = IA3Config(
        target_modules=["v_proj", "down_proj"],
        feedforward_modules=["down_proj"],
        task_type="CAUSAL_LM",
    )
    get_peft_model(base, config).save_pretrained(tmp_path / "adapter")
    assert "of type IA3" in refusal(tmp_path / "adapter")


def test_an_adapter_that_changes_its_base_even_when_off_is_refused(tmp_path: Path):
    base = fakes.save(fakes.model("gpt2"), tmp_path / "base")
    adapter = fakes.save_adapter(base, tmp_path / "adapter", "gpt2", bias="all")
    assert "switched off" in refusal(adapter)


def test_an_adapter_whose_base_is_missing_is_refused_with_its_name(copy: Copy, tmp_path: Path):
    adapter = copy("adapter", "adapter")
    edit_json(settings_of(adapter), base_model_name_or_path=str(tmp_path / "gone"))
    assert str(tmp_path / "gone") in refusal(adapter)


def test_an_adapter_that_names_no_base_is_refused(copy: Copy):
    adapter = copy("adapter", "adapter")
    edit_json(settings_of(adapter), base_model_name_or_path=None)
    assert "does not name its base" in refusal(adapter)


def test_an_adapter_on_an_adapter_is_refused(copy: Copy, store: Path):
    adapter = copy("adapter", "adapter")
    edit_json(settings_of(adapter), base_model_name_or_path=str(store / "adapter"))
    assert "itself an adapter" in refusal(adapter)


def test_an_adapter_as_reference_is_refused(store: Path):
    assert "merge it" in refusal(store / "nudged", store / "adapter")


def test_an_adapter_for_another_architecture_is_refused(copy: Copy, tmp_path: Path):
    other = fakes.save(fakes.model("gpt2"), tmp_path / "gpt2")
    adapter = copy("adapter", "adapter")
    edit_json(settings_of(adapter), base_model_name_or_path=str(other))
    assert "cannot be put on its base" in refusal(adapter)


def test_an_adapter_without_safetensors_is_refused(copy: Copy):
    adapter = copy("adapter", "adapter")
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    assert "holds no adapter_model.safetensors" in refusal(adapter)


def test_a_truncated_adapter_is_refused(copy: Copy):
    adapter = copy("adapter", "adapter")
    cut(adapter / "adapter_model.safetensors", 100)
    assert "cannot be put on its base" in refusal(adapter)


def test_an_adapter_with_missing_tensors_is_refused(copy: Copy):
    adapter = copy("adapter", "adapter")
    edit_weights(
        adapter / "adapter_model.safetensors",
        lambda weights: {name: value for name, value in weights.items() if "layers.1" not in name},
    )
    assert "lacks some of its tensors" in refusal(adapter)


def test_an_adapter_with_nan_is_refused(copy: Copy):
    adapter = copy("adapter", "adapter")
    edit_weights(
        adapter / "adapter_model.safetensors",
        lambda weights: {name: value * float("nan") for name, value in weights.items()},
    )
    assert "NaN" in refusal(adapter)


# --- adapters and their base ------------------------------------------------------------------


def test_the_base_of_an_adapter_is_the_reference_exactly(store: Path):
    pair = load(store / "adapter")
    alone = load(store / "base", store / "base").reference
    for side in (pair.reference, load(store / "adapter", store / "base").reference):
        assert torch.equal(side.nats([SEQUENCE])[0], alone.nats([SEQUENCE])[0])
    aligned, reference = score(pair)
    assert abs(aligned - reference) > 0.01


def test_switching_the_adapter_off_and_on_leaves_no_trace(store: Path):
    pair = load(store / "adapter")
    assert score(pair) == score(pair)


@pytest.mark.parametrize("copied", [False, True], ids=["same folder", "copy of the folder"])
def test_a_reference_that_equals_the_base_shares_its_weights(copy: Copy, store: Path, copied: bool):
    reference = copy("base", "elsewhere") if copied else store / "base"
    pair = load(store / "adapter", reference)
    assert pair.aligned.model is pair.reference.model
    assert score(pair) == score(load(store / "adapter"))


def test_a_reference_that_is_not_the_base_is_loaded_for_itself(store: Path):
    pair = load(store / "adapter", store / "nudged")
    assert pair.aligned.model is not pair.reference.model
    assert score(pair) == [
        score(load(store / "adapter"))[0],
        score(load(store / "nudged", store / "base"))[0],
    ]


@pytest.mark.parametrize("named", ["../base", "base"])
def test_a_relative_base_is_looked_up_from_the_folder_of_the_adapter(
    copy: Copy, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
):
    adapter, here = copy("adapter", "models/adapter"), tmp_path / "work"
    shutil.copytree(store / "base", adapter / named)
    shutil.copytree(store / "nudged", here / named)  # a decoy, seen from the working directory
    monkeypatch.chdir(here)
    edit_json(settings_of(adapter), base_model_name_or_path=named)
    assert score(load(adapter)) == score(load(store / "adapter"))


def test_a_relative_base_is_looked_up_from_the_working_directory_next(
    copy: Copy, tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch
):
    adapter, _ = copy("adapter", "models/adapter"), copy("base", "work/base")
    monkeypatch.chdir(tmp_path / "work")
    edit_json(settings_of(adapter), base_model_name_or_path="base")
    assert score(load(adapter)) == score(load(store / "adapter"))


def test_the_hash_of_an_adapter_covers_its_own_files_and_those_of_its_base(
    copy: Copy, store: Path, tmp_path: Path
):
    plain = load(store / "adapter").aligned.checkpoint.sha256
    adapter, base = copy("adapter", "adapter"), copy("base", "base")
    edit_json(settings_of(adapter), base_model_name_or_path=str(base))
    moved = load(adapter)
    edit_weights(base / "model.safetensors", lambda weights: weights | {DOWN: 2 * weights[DOWN]})
    changed = load(adapter)
    assert len({plain, moved.aligned.checkpoint.sha256, changed.aligned.checkpoint.sha256}) == 3
    assert moved.reference.checkpoint.sha256 != changed.reference.checkpoint.sha256


# --- code in checkpoints ----------------------------------------------------------------------

CODE = """
from pathlib import Path
from transformers import LlamaConfig, LlamaForCausalLM
Path({trace!r}).touch()
class Odd(LlamaConfig):
    model_type = "odd"
class OddForCausalLM(LlamaForCausalLM):
    config_class = Odd
"""


@pytest.fixture
def odd(copy: Copy, tmp_path: Path) -> tuple[Path, Path]:
    """A checkpoint with its own code, and the file that this code leaves where it runs."""
    aligned, trace = copy("nudged", "odd"), tmp_path / "trace"
    (aligned / "code.py").write_text(CODE.format(trace=str(trace)), encoding="utf-8")
    names = {"AutoConfig": "code.Odd", "AutoModelForCausalLM": "code.OddForCausalLM"}
    edit_json(aligned / "config.json", model_type="odd", auto_map=names)
    return aligned, trace


def test_code_in_a_checkpoint_is_refused_and_not_run(odd: tuple[Path, Path], store: Path):
    aligned, trace = odd
    assert "custom code" in refusal(aligned, store / "base")
    assert not trace.exists()


def test_code_in_a_checkpoint_of_a_known_architecture_is_not_run(
    odd: tuple[Path, Path], store: Path
):
    aligned, trace = odd
    edit_json(aligned / "config.json", model_type="llama")
    assert score(load(aligned, store / "base")) == score(load(store / "nudged", store / "base"))
    assert not trace.exists()


def test_code_in_a_checkpoint_runs_where_the_user_allows_it(
    odd: tuple[Path, Path], store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    aligned, trace = odd
    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.syspath_prepend(tmp_path / "modules")
    allowed = {"trust_remote_code": not Loading().trust_remote_code}
    assert score(load(aligned, store / "base", **allowed)) == score(
        load(store / "nudged", store / "base")
    )
    assert trace.exists()


# --- identical pairs --------------------------------------------------------------------------


def test_a_copy_is_identical(copy: Copy, store: Path):
    assert load(copy("base", "copy"), store / "base").identical()


def test_the_smallest_nudge_is_not_identical(copy: Copy, store: Path):
    aligned = copy("base", "aligned")

    def nudge(weights: Weights) -> Weights:
        weights[DOWN][0, 0] = torch.nextafter(weights[DOWN][0, 0], torch.tensor(9.0))
        return weights

    edit_weights(aligned / "model.safetensors", nudge)
    assert not load(aligned, store / "base").identical()


def test_an_adapter_is_not_identical_to_its_base(store: Path):
    assert not load(store / "adapter").identical()


def test_another_architecture_is_not_identical(store: Path, tmp_path: Path):
    other = fakes.save(fakes.model("gpt2"), tmp_path / "gpt2")
    assert not load(other, store / "base").identical()


# --- what is said about a checkpoint ----------------------------------------------------------


def test_a_checkpoint_is_described_by_source_dtype_and_size(store: Path):
    described = load(store / "nudged", store / "base").aligned.checkpoint
    assert described.source == str(store / "nudged")
    assert described.dtype == "float32"
    assert described.n_parameters == sum(p.numel() for p in fakes.model().parameters())


def test_weights_are_read_in_the_dtype_asked_for(store: Path):
    pair = load(store / "nudged", store / "base", dtype="bfloat16")
    assert pair.reference.checkpoint.dtype == "bfloat16"
    exact = score(load(store / "nudged", store / "base"))
    assert score(pair) == pytest.approx(exact, abs=0.5)
    assert pair.aligned.nats([SEQUENCE])[0].dtype == torch.float32


def test_the_context_is_the_shorter_of_the_two(copy: Copy, store: Path):
    aligned = copy("nudged", "aligned")
    edit_json(aligned / "config.json", max_position_embeddings=48)
    assert load(aligned, store / "base").context_tokens == 48
