"""Alignment of a small policy by TRL: RLOO with the KL to the reference in its reward, or DPO."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from trl import DPOConfig, DPOTrainer, RLOOConfig, RLOOTrainer

TextReward = Callable[[Sequence[str], Sequence[str]], torch.Tensor]
"(prompts as the policy sees them, answers) to rewards"


@dataclass(frozen=True)
class Training:
    """How to align."""

    beta: float
    "price of one nat of KL, in units of the reward"
    steps: int
    seed: int
    folder: Path
    "scratch space of the trainer"
    learning_rate: float = 3e-4
    batch: int = 128
    answers_per_prompt: int = 8
    max_tokens: int = 28
    warmup_steps: int = 20
    max_grad_norm: float = 1.0
    adam_beta2: float = 0.98
    """Near 1, together with a high `max_grad_norm`: the steps shrink with the gradient, and the
    policy settles. RLOO's own noise vanishes at the optimum, where R - beta log_ratio is the same
    for all answers to a prompt; an optimiser that rescales small gradients would bring it back."""
    adapter: bool = False
    "train a LoRA adapter instead of the weights"


def align_rloo(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    reward: TextReward,
    training: Training,
) -> PreTrainedModel | PeftModel:
    """Maximise E[reward(y)] - beta KL(policy || reference), in place; returns the policy.

    REINFORCE leave-one-out (2402.14740), fully on-policy. `prompts` are ready-made strings, to
    which the tokenizer adds BOS.
    """

    def reward_function(
        prompts: list[str], completions: list[str], **_: object
    ) -> list[float | None]:
        return [float(value) for value in reward(prompts, completions)]

    config = RLOOConfig(
        per_device_train_batch_size=training.batch,
        num_generations=training.answers_per_prompt,
        max_completion_length=training.max_tokens,
        max_steps=training.steps,
        adam_beta2=training.adam_beta2,
        **_common(training),
    )
    trainer = RLOOTrainer(
        model=model,
        reward_funcs=reward_function,
        args=config,
        train_dataset=Dataset.from_dict({"prompt": list(prompts)}),
        processing_class=tokenizer,
        peft_config=_lora() if training.adapter else None,
    )
    trainer.train()
    aligned = trainer.model
    assert isinstance(aligned, PreTrainedModel | PeftModel)
    aligned.eval()
    return aligned


def align_dpo(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pairs: Sequence[dict[str, str]],
    training: Training,
) -> PreTrainedModel:
    """Direct preference optimisation (2305.18290) on (prompt, chosen, rejected); one epoch.

    In the order given: opposite votes on one pair that stand together cancel within a batch and
    hold the pair where it is, while apart they would be noise.
    """
    config = DPOConfig(
        per_device_train_batch_size=training.batch,
        num_train_epochs=1,
        max_length=None,
        precompute_ref_log_probs=True,
        train_sampling_strategy="sequential",
        **_common(training),
    )
    trainer = DPOTrainer(
        model=model,
        args=config,
        train_dataset=Dataset.from_list(list(pairs)),
        processing_class=tokenizer,
    )
    trainer.train()
    model.eval()
    return model


def _common(training: Training) -> dict[str, Any]:
    return {
        "output_dir": str(training.folder),
        "beta": training.beta,
        "learning_rate": training.learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": training.warmup_steps,
        "max_grad_norm": training.max_grad_norm,
        "gradient_checkpointing": False,
        "bf16": False,
        "logging_steps": 20,
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": not torch.cuda.is_available(),
        "disable_tqdm": True,
        "seed": training.seed,
    }


def _lora() -> LoraConfig:
    """Low-rank changes inside, and an output layer of its own.

    With the tied output layer frozen, words that stand in the same places cannot be paid apart. A
    low-rank change of it would not do: the trainer reads `lm_head.weight` and never sees it.
    """
    return LoraConfig(
        r=32,
        lora_alpha=32,
        lora_dropout=0.0,
        target_modules="all-linear",
        modules_to_save=["lm_head"],
        task_type="CAUSAL_LM",
    )
