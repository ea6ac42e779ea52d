"""Align a policy with an exported ensemble by TRL alone.

python docs/align_with_trl.py EXPORTED POLICY PROMPTS OUT [STEPS]
"""

import sys

from datasets import load_dataset
from trl import RLOOConfig, RLOOTrainer

exported, policy, prompts, out, *steps = sys.argv[1:]
sys.path.insert(0, exported)  # what `irl export RUN EXPORTED` wrote
from trl_reward import reward  # noqa: E402

config = RLOOConfig(
    **{"output_dir": out, "max_steps": int(*steps or [125]), "learning_rate": 3e-4, "beta": 0.5},
    **{"per_device_train_batch_size": 64, "num_generations": 8, "max_completion_length": 48},
    **{"bf16": False, "gradient_checkpointing": False, "save_strategy": "no", "report_to": "none"},
)
rows = load_dataset("json", data_files=prompts, split="train")
trainer = RLOOTrainer(model=policy, reward_funcs=reward, args=config, train_dataset=rows)
trainer.train()
trainer.save_model(out)
