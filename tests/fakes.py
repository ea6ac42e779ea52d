"""Tiny random models and a tokenizer, built from configs: nothing is downloaded."""

from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    CohereConfig,
    Gemma2Config,
    Gemma3TextConfig,
    GemmaConfig,
    GPT2Config,
    GPTJConfig,
    GPTNeoXConfig,
    GraniteConfig,
    LlamaConfig,
    MistralConfig,
    MixtralConfig,
    PhiConfig,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3MoeConfig,
)

from irl.organisms.language import train_tokenizer
from irl.policies.policy import Policy
from irl.records import Checkpoint

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
CONFIGS = {
    "llama": (LlamaConfig, {}),
    "gpt2": (GPT2Config, {"intermediate_size": None, "num_key_value_heads": None}),
    "gpt_neox": (GPTNeoXConfig, {"num_key_value_heads": None}),
    "qwen3": (Qwen3Config, {"head_dim": 8}),
    "mistral": (MistralConfig, {"sliding_window": 8}),
    "gemma": (GemmaConfig, {"head_dim": 8}),
    "gemma2": (Gemma2Config, {"head_dim": 8, "sliding_window": 8, "final_logit_softcapping": 2.0}),
    "granite": (GraniteConfig, {"logits_scaling": 0.4}),
    "cohere": (CohereConfig, {"logit_scale": 2.5}),
    "llama_tied": (LlamaConfig, {"tie_word_embeddings": True}),
    "gemma2_capped": (
        Gemma2Config,
        {"head_dim": 8, "sliding_window": 8, "attn_logit_softcapping": 1.5},
    ),
    "gemma3": (Gemma3TextConfig, {"head_dim": 8, "sliding_window": 8}),
    "phi": (PhiConfig, {"partial_rotary_factor": 0.5}),
    "mixtral": (MixtralConfig, {"num_local_experts": 4}),
    "qwen3_moe": (Qwen3MoeConfig, {"head_dim": 8, "num_experts": 4, "num_experts_per_tok": 2}),
    "bloom": (BloomConfig, {"num_key_value_heads": None, "intermediate_size": None}),
    "gptj": (GPTJConfig, {"num_key_value_heads": None, "intermediate_size": None, "rotary_dim": 8}),
}
ARCHITECTURES = ("llama", "gpt2", "gpt_neox", "qwen3", "mistral", "gemma")
SCALED_HEADS = ("gemma2", "granite", "cohere")
"Architectures that cap, divide or multiply what comes out of the output embedding"
PACKED = (*ARCHITECTURES, "llama_tied", "gemma2_capped", "gemma3", "phi", "mixtral", "qwen3_moe")
"Architectures that must be scored in packed rows"
UNPACKED = ("bloom", "gptj")
"Architectures with an attention of their own, which must not be"
LORA_TARGETS = {
    "gpt2": ["c_attn", "c_proj"],
    "gpt_neox": ["query_key_value", "dense_h_to_4h"],
}
"Modules that an adapter changes; q_proj, v_proj and down_proj where nothing is said"


def tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE of 320 pieces with a chat template; ids 0, 1, 2 are pad, BOS and EOS."""
    return train_tokenizer(SENTENCES * 3, 320)


def config(architecture: str, n_pieces: int) -> PretrainedConfig:
    """A tiny config of one of CONFIGS."""
    kind, changes = CONFIGS[architecture]
    sizes = {**SIZES, "vocab_size": n_pieces, **changes}
    return kind(**{name: value for name, value in sizes.items() if value is not None})


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


def policy(made: PreTrainedModel) -> Policy:
    """A model in memory as a policy with the tokenizer."""
    described = Checkpoint(source="fake", sha256="0" * 64, dtype="float32", n_parameters=1)
    return Policy(made, tokenizer(), described)


def save(made: PreTrainedModel, folder: Path) -> Path:
    """Store a model with the tokenizer."""
    made.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def save_pair(folder: Path, architecture: str = "llama") -> tuple[Path, Path]:
    """Store an aligned model and its reference; returns (aligned, reference)."""
    reference = model(architecture)
    return save(nudged(reference), folder / "aligned"), save(reference, folder / "reference")


def save_adapter(
    base: Path, folder: Path, architecture: str = "llama", seed: int = 2, **settings: object
) -> Path:
    """Store a LoRA adapter that changes the base: lora_B is random, not zero."""
    chosen = {
        "r": 4,
        "lora_alpha": 8,
        "target_modules": LORA_TARGETS.get(architecture, ["q_proj", "v_proj", "down_proj"]),
        "fan_in_fan_out": architecture == "gpt2",
        "task_type": "CAUSAL_LM",
    }
    wrapped = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base), LoraConfig(**(chosen | settings))
    )
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in wrapped.parameters():
            if parameter.requires_grad:
                parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
    wrapped.save_pretrained(folder)
    return folder
