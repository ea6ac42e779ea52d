"""Alignment of organisms: RLOO with the KL to the reference in its reward, or DPO."""

from collections.abc import Callable, Sequence

import torch
from datasets import Dataset
from peft import PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from trl import DPOConfig, DPOTrainer

from irl.rlhf.policy_training import Training as Training
from irl.rlhf.policy_training import common_settings, optimise

TextReward = Callable[[Sequence[str], Sequence[str]], torch.Tensor]
"(prompts as the policy sees them, answers) to rewards"


def align_rloo(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    reward: TextReward,
    training: Training,
) -> PreTrainedModel | PeftModel:
    """Maximise E[reward(y)] - beta KL(policy || reference), in place; returns the policy.

    `prompts` are ready-made strings, to which the tokenizer adds BOS.
    """
    return optimise(
        model,
        tokenizer,
        prompts,
        lambda asked, answers: [float(value) for value in reward(asked, answers)],
        training,
    )


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
        **common_settings(training),
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
