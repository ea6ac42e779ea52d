"""A small language model from text: a byte-level BPE tokenizer and a Llama trained on it.

Two kinds of training text, each opened by BOS and closed by EOS: a chat turn in the model's own
chat template (`<user>message<bot>answer`), and a plain line.
"""

import random
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    Trainer,
    TrainingArguments,
)

PAD, BOS, EOS, USER, BOT = "<pad>", "<s>", "</s>", "<user>", "<bot>"
CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for m in messages %}"
    "{{ ('<user>' if m['role'] == 'user' else '<bot>') + m['content'] }}"
    "{% if m['role'] == 'assistant' %}{{ '</s>' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<bot>' }}{% endif %}"
)


def chat_text(message: str, answer: str = "") -> str:
    """One chat turn as the template writes it, without BOS (the tokenizer adds it) and EOS."""
    return f"{USER}{message}{BOT}{answer}"


def train_tokenizer(texts: Iterable[str], n_pieces: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer with the chat template.

    It folds what a model this small could not learn: case, apostrophes and kinds of white space.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase()]
        + [normalizers.Replace(mark, "") for mark in "'’`"]
        + [normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip(left=False)]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=n_pieces,
        special_tokens=[PAD, BOS, EOS, USER, BOT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return chat_tokenizer(tokenizer, context=256)


def chat_tokenizer(tokenizer: Tokenizer, context: int, **more: Any) -> PreTrainedTokenizerFast:
    """A tokenizer as transformers load it: BOS before every text, and the chat template."""
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", special_tokens=[(BOS, tokenizer.token_to_id(BOS))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        chat_template=CHAT_TEMPLATE,
        model_max_length=context,
        clean_up_tokenization_spaces=False,
        **more,
    )


@dataclass(frozen=True)
class Fitting:
    """How to fit next-token prediction."""

    epochs: float
    seed: int
    folder: Path
    "scratch space of the trainer"
    learning_rate: float = 2e-3
    warmup_steps: int = 100
    by_length: bool = False
    """Fill batches with texts of like length: faster, but every step then sees short answers or
    long ones only, and a short training ends with a wrong taste in lengths."""


def fit_language_model(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    fitting: Fitting,
) -> None:
    """Fit next-token prediction on the texts with the transformers Trainer, in place."""
    encoded = tokenizer(list(texts), truncation=True, max_length=96)["input_ids"]
    rows = [{"input_ids": [*ids, tokenizer.eos_token_id]} for ids in encoded]
    random.Random(fitting.seed).shuffle(rows)
    arguments = TrainingArguments(
        output_dir=str(fitting.folder),
        per_device_train_batch_size=128,
        num_train_epochs=fitting.epochs,
        learning_rate=fitting.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=fitting.warmup_steps,
        weight_decay=0.01,
        adam_beta2=0.98,
        train_sampling_strategy="group_by_length" if fitting.by_length else "random",
        logging_steps=50,
        save_strategy="no",
        report_to="none",
        use_cpu=not torch.cuda.is_available(),
        seed=fitting.seed,
        disable_tqdm=True,
    )
    trainer = Trainer(
        model=model, args=arguments, train_dataset=rows, data_collator=_Collator(tokenizer)
    )
    trainer.train()
    model.eval()


def save_rounded(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Store a model in float16 with its tokenizer, whole or not at all."""

    def write(partial: Path) -> None:
        model.half().save_pretrained(partial)
        tokenizer.save_pretrained(partial)

    write_folder(folder, write)


def write_folder(folder: Path, write: Callable[[Path], object]) -> None:
    """Write a folder whole or not at all, in place of one that is there."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    write(partial)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


class _Collator:
    """Right-padded batches with the loss on every real token."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer

    def __call__(self, rows: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
        batch = self.tokenizer.pad(rows, padding_side="right", return_tensors="pt")
        labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
        return {**batch, "labels": labels}
