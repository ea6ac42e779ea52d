"""A smaller policy that imitates the language world's reference: where students start."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from irl.organisms.answers_of_world import answers_to
from irl.organisms.language import Fitting, chat_text, fit_language_model, save_rounded


def imitate(
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Any],
    each: int,
    sizes: dict[str, Any],
    folder: Path,
) -> None:
    """Fit a new model to answers of the reference and store it in float16.

    Args:
        tokenizer: the reference's.
        prompts: one message each.
        each: answers to every prompt.
        sizes: of the model, as LlamaConfig names them.
        folder: where it is stored; the trainer writes beside it.
    """
    asked = [prompt for prompt in prompts for _ in range(each)]
    said = answers_to(asked, 1, seed=2)
    texts = [
        chat_text(prompt[0]["content"], answer) for prompt, answer in zip(asked, said, strict=True)
    ]
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        **sizes,
    )
    model = LlamaForCausalLM(config)
    fit_language_model(model, tokenizer, texts, Fitting(2.0, 0, folder.with_name("scratch")))
    save_rounded(model, tokenizer, folder)
