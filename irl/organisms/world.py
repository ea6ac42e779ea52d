"""The language world as models: its tokenizer, and a reference of any small architecture."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    LlamaConfig,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen3Config,
)

from irl.organisms.grammar import OOD_TYPE, PROMPT_TYPES, Speaker, World
from irl.organisms.language import (
    BOS,
    BOT,
    EOS,
    PAD,
    USER,
    Fitting,
    chat_text,
    chat_tokenizer,
    fit_language_model,
)

UNKNOWN = "<unk>"
SPACE = "▁"
N_TEXTS = 22_000
NEWS_SHARE = 0.15
CONTEXT = 128


def world_tokenizer(world: World, further: Sequence[str] = ()) -> PreTrainedTokenizerFast:
    """One token per word, with the space before it, and one per mark; further words come last."""
    names = [PAD, BOS, EOS, USER, BOT, UNKNOWN, *".,!?:"]
    names += [SPACE + word for word in (*sorted(world.vocabulary), *further)]
    tokenizer = Tokenizer(models.WordLevel({n: i for i, n in enumerate(names)}, UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(SPACE, "always"), pre_tokenizers.Punctuation()]
    )
    tokenizer.decoder = decoders.Metaspace(SPACE, "always")
    return chat_tokenizer(
        tokenizer, CONTEXT, unk_token=UNKNOWN, additional_special_tokens=[USER, BOT]
    )


_SIZES: dict[str, Any] = {
    "hidden_size": 128,
    "intermediate_size": 512,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": CONTEXT,
}


def _common(vocabulary: int) -> dict[str, Any]:
    return {
        "vocab_size": vocabulary,
        "tie_word_embeddings": True,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }


def _llama(vocabulary: int) -> PretrainedConfig:
    return LlamaConfig(num_key_value_heads=4, **_SIZES, **_common(vocabulary))


def _gpt2(vocabulary: int) -> PretrainedConfig:
    return GPT2Config(
        n_embd=128,
        n_layer=2,
        n_head=4,
        n_positions=CONTEXT,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        **_common(vocabulary),
    )


def _qwen3(vocabulary: int) -> PretrainedConfig:
    return Qwen3Config(num_key_value_heads=2, head_dim=32, **_SIZES, **_common(vocabulary))


ARCHITECTURES: dict[str, Callable[[int], PretrainedConfig]] = {
    "llama": _llama,
    "gpt2": _gpt2,
    "qwen3": _qwen3,
}


def train_reference(
    world: World, architecture: str, folder: Path
) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Fit a small model of an architecture to the world's prompts and answers."""
    tokenizer = world_tokenizer(world)
    torch.manual_seed(world.seed)
    model = AutoModelForCausalLM.from_config(ARCHITECTURES[architecture](len(tokenizer)))
    texts = chats(world, np.random.default_rng([world.seed, 3]), N_TEXTS)
    fit_language_model(model, tokenizer, texts, Fitting(1.0, world.seed, folder))
    return model, tokenizer


def chats(world: World, rng: np.random.Generator, n: int, topics: int | None = None) -> list[str]:
    """Prompts of every type with an answer each, as the chat template writes them.

    `topics` keeps to the first so many topics of the lexicon.
    """
    speaker, texts = Speaker(world, rng, topics), []
    for _ in range(n):
        news = rng.random() < NEWS_SHARE
        kind = OOD_TYPE if news else PROMPT_TYPES[int(rng.integers(len(PROMPT_TYPES)))]
        prompt = speaker.prompt(kind)
        texts.append(chat_text(prompt.text, speaker.answer(prompt)))
    return texts
