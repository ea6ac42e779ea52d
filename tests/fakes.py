"""Tiny random models and a tokenizer, built from configs: nothing is downloaded."""

from pathlib import Path

import torch
from transformers import (
    AutoModelForCausalLM,
    GemmaConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen3Config,
)

from irl.organisms.language import train_tokenizer

SENTENCES = (
    "the cat sat on the mat and looked at the dog",
    "what do you think about the weather today? i think it is fine.",
    "please tell me more about your new house, it sounds lovely!",
    "no, that is a stupid idea and you know it.",
    "i like green apples, red apples and 12 kinds of pears.",
)
SIZES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
ARCHITECTURES = ("llama", "gpt2", "gpt_neox", "qwen3", "mistral", "gemma")


def tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of 320 pieces with a chat template; ids 0, 1, 2 = pad, BOS, EOS."""
    return train_tokenizer(SENTENCES * 3, 320)


def config(architecture: str, n_pieces: int) -> PretrainedConfig:
    """A tiny config of one of ARCHITECTURES."""
    sizes = {**SIZES, "vocab_size": n_pieces}
    match architecture:
        case "llama":
            return LlamaConfig(**sizes)
        case "gpt2":
            return GPT2Config(
                vocab_size=n_pieces, n_embd=32, n_layer=2, n_head=4, n_positions=64,
                pad_token_id=0, bos_token_id=1, eos_token_id=2,
            )
        case "gpt_neox":
            sizes.pop("num_key_value_heads")
            return GPTNeoXConfig(**sizes)
        case "qwen3":
            return Qwen3Config(**sizes, head_dim=8)
        case "mistral":
            return MistralConfig(**sizes)
        case "gemma":
            return GemmaConfig(**sizes, head_dim=8)
        case _:
            raise ValueError(architecture)


def model(architecture: str = "llama", n_pieces: int = 320, seed: int = 0) -> PreTrainedModel:
    """A random model in eval mode, with weights large enough that tokens differ in probability."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # noqa: TID251
        made = AutoModelForCausalLM.from_config(config(architecture, n_pieces))
        with torch.no_grad():
            for parameter in made.parameters():
                if parameter.ndim > 1:
                    parameter.mul_(6.0)
    made.eval()
    return made


def nudged(original: PreTrainedModel, size: float = 0.02, seed: int = 1) -> PreTrainedModel:
    """A copy whose weights are moved a little: the aligned side of a pair."""
    copy = AutoModelForCausalLM.from_config(original.config)
    copy.load_state_dict(original.state_dict())
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in copy.parameters():
            parameter.add_(size * torch.randn(parameter.shape, generator=generator))
    copy.eval()
    return copy


def save(made: PreTrainedModel, folder: Path) -> Path:
    """Store a model with the tokenizer."""
    made.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def save_pair(folder: Path, architecture: str = "llama") -> tuple[Path, Path]:
    """Store an aligned model and its reference; returns (aligned, reference)."""
    reference = model(architecture)
    return save(nudged(reference), folder / "aligned"), save(reference, folder / "reference")
