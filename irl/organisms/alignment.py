"""Alignment of a small policy by TRL: RLOO with the KL to the reference in its reward."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from trl import RLOOConfig, RLOOTrainer

TextReward = Callable[[Sequence[str]], torch.Tensor]


@dataclass(frozen=True)
class Training:
    """How to align."""

    beta: float
    "price of one nat of KL, in units of the reward"
    steps: int
    seed: int
    folder: Path
    "scratch space of the trainer"


def align_rloo(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    reward: TextReward,
    training: Training,
) -> PreTrainedModel:
    """Maximise E[reward(y)] - beta KL(policy || reference), in place; returns the policy.

    REINFORCE leave-one-out (2402.14740), fully on-policy. `prompts` are ready-made strings, to
    which the tokenizer adds BOS; `reward` sees the answer alone.
    """

    def reward_function(completions: list[str], **_: object) -> list[float | None]:
        return [float(value) for value in reward(completions)]

    config = RLOOConfig(
        output_dir=str(training.folder),
        per_device_train_batch_size=128,
        num_generations=8,
        max_completion_length=28,
        beta=training.beta,
        max_steps=training.steps,
        learning_rate=3e-4,
        lr_scheduler_type="cosine",
        warmup_steps=20,
        adam_beta2=0.98,
        max_grad_norm=1.0,
        gradient_checkpointing=False,
        bf16=False,
        logging_steps=20,
        save_strategy="no",
        report_to="none",
        use_cpu=not torch.cuda.is_available(),
        disable_tqdm=True,
        seed=training.seed,
    )
    trainer = RLOOTrainer(
        model=model,
        reward_funcs=reward_function,
        args=config,
        train_dataset=Dataset.from_dict({"prompt": list(prompts)}),
        processing_class=tokenizer,
    )
    trainer.train()
    model.eval()
    return model
