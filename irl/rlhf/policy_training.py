"""Policy optimisation by TRL: RLOO or GRPO, with the KL to the reference as a price.

    RLOO (2402.14740)   maximise E[R(x, y)] - beta KL(policy || reference), KL summed over the
                        answer: at the optimum R = beta log-ratio + c(x), which is what `irl` reads
    GRPO (2402.03300)   advantages in units of their spread within a prompt, KL per token in the
                        loss: the optimum is another one, and its log-ratio is no reward over beta

Checkpoints count when they are whole: `Marked` writes a file into each after the trainer is done
with it, so that a training that was killed goes on from the last whole one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from trl import GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer

from irl.policies.quiet import silence_trainer
from irl.policies.template import PromptText

TextReward = Callable[[Sequence[Any], Sequence[str]], Sequence[float | None]]
"(prompts as they were given, answers) to rewards; None leaves an answer out"
Method = Literal["rloo", "grpo"]
_WHOLE = "whole"
"Stands in a checkpoint that was written to its end"


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
    method: Method = "rloo"
    save_every: int | None = None
    "steps between checkpoints; None keeps none"


def optimise(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[PromptText],
    reward: TextReward,
    training: Training,
    callbacks: Sequence[TrainerCallback] = (),
) -> PreTrainedModel | PeftModel:
    """Align a policy in place, fully on-policy; returns it.

    Args:
        model: loaded from a local directory, from which the trainer loads the reference.
        tokenizer: its tokenizer; plain prompts get its BOS, messages its chat template.
        prompts: strings or messages, all of one kind.
        reward: of answers without special tokens.
        training: how.
        callbacks: told of every step.
    """

    def reward_function(
        prompts: list[Any], completions: list[Any], **_: object
    ) -> list[float | None]:
        texts = [one if isinstance(one, str) else one[0]["content"] for one in completions]
        return list(reward(prompts, texts))

    trainer_kind, config_kind = _KINDS[training.method]
    own: dict[str, Any] = {
        "per_device_train_batch_size": training.batch,
        "num_generations": training.answers_per_prompt,
        "max_completion_length": training.max_tokens,
        "max_steps": training.steps,
        "adam_beta2": training.adam_beta2,
    }
    rows = [
        prompt if isinstance(prompt, str) else [dict(one) for one in prompt] for prompt in prompts
    ]
    trainer = trainer_kind(
        model=model,
        reward_funcs=reward_function,
        args=config_kind(**own, **common_settings(training)),
        train_dataset=Dataset.from_dict({"prompt": rows}),
        processing_class=tokenizer,
        peft_config=lora() if training.adapter else None,
        callbacks=[*callbacks, Marked()],
    )
    silence_trainer(trainer)
    found = last_whole(training.folder)
    trainer.train(resume_from_checkpoint=None if found is None else str(found))
    aligned = trainer.model
    assert isinstance(aligned, PreTrainedModel | PeftModel)
    aligned.eval()
    return aligned


_KINDS: Mapping[Method, tuple[Any, Any]] = {
    "rloo": (RLOOTrainer, RLOOConfig),
    "grpo": (GRPOTrainer, GRPOConfig),
}


class Marked(TrainerCallback):
    """Marks checkpoints that are whole."""

    def on_save(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """The trainer has written a checkpoint to its end."""
        del control, kwargs
        (Path(str(args.output_dir)) / f"checkpoint-{state.global_step}" / _WHOLE).touch()


class Looking(TrainerCallback):
    """Calls `look` with the step before the first one, after every so many, and after the last."""

    def __init__(self, look: Callable[[int], bool], every: int) -> None:
        self.look, self.every = look, every

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Training begins, or goes on."""
        del args, control, kwargs
        if state.global_step == 0:
            self.look(0)

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """A step was taken; `look` says whether it was the last."""
        del args, kwargs
        step = state.global_step
        if step % self.every == 0 or step == state.max_steps:
            control.should_training_stop |= self.look(step)


def last_whole(folder: Path) -> Path | None:
    """The newest whole checkpoint."""
    whole = [file.parent for file in folder.glob(f"checkpoint-*/{_WHOLE}")]
    return max(whole, key=step_at, default=None)


def step_at(checkpoint: Path) -> int:
    """The step at which a checkpoint was written."""
    return int(checkpoint.name.rpartition("-")[2])


def common_settings(training: Training) -> dict[str, Any]:
    """What all of TRL's trainers are told alike."""
    every = training.save_every
    saving = (
        {"save_strategy": "no"}
        if every is None
        else {
            "save_strategy": "steps",
            "save_steps": every,
            "save_total_limit": 2,
        }
    )
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
        "report_to": "none",
        "use_cpu": not torch.cuda.is_available(),
        "disable_tqdm": True,
        "seed": training.seed,
        **saving,
    }


def lora() -> LoraConfig:
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
