"""Members that are whole language models, each by TRL's RewardTrainer (Bradley-Terry).

The trainer is given token ids as `Scorer.ids` makes them, so that a member is scored on what it was
trained on. Seeds draw the score layer, the order of the pairs and, with bootstrap, which pairs the
member sees: drawn prompts by prompt, with replacement.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from datasets import Dataset
from torch import nn
from trl import RewardConfig, RewardTrainer

from irl.config import Loading
from irl.engine.engine import HERE, Engine
from irl.ensembles.pairs import Pairs
from irl.policies.quiet import silence_trainer
from irl.policies.reward_model import Scorer, load_scorer, with_pad
from irl.rewards.head_reward import HeadReward
from irl.rewards.transformer import TokenIds, Transformer


@dataclass(frozen=True)
class TrainerSettings:
    """What the trainer is told."""

    seeds: tuple[int, ...]
    epochs: int
    learning_rate: float
    batch: int
    bootstrap: bool
    chat: str = "auto"


@dataclass(frozen=True)
class Member:
    """What one member is trained on, and how; its weights, wherever it is trained."""

    base: str
    loading: Loading
    pairs: Pairs
    how: TrainerSettings

    def weights(self, seed: int) -> list[torch.Tensor]:
        """In the order of the model, on the CPU."""
        scorer = load_scorer(self.base, self.loading)
        with TemporaryDirectory() as scratch:
            _train(scorer, self.pairs, self.how, seed, Path(scratch))
        return [weight.detach().cpu() for weight in scorer.parameters()]


def trained_members(
    base: str, loading: Loading, pairs: Pairs, how: TrainerSettings, engine: Engine = HERE
) -> HeadReward:
    """Train one model for each seed, all from the same base.

    Each is the same in whatever company and wherever it is trained: its seed is set anew.

    Raises:
        PolicyError: the base cannot be loaded.
        InputError: it cannot read a prompt.
    """
    member = Member(base, loading, pairs, how)
    trained = engine.each(member.weights, how.seeds, "member")
    start = load_scorer(base, loading)
    device = next(start.parameters()).device
    every = zip(*trained, strict=True)
    head = Transformer(start, [torch.stack(one).to(device) for one in every])
    return HeadReward(TokenIds(head.scorer, how.chat), head)


def _train(scorer: Scorer, pairs: Pairs, how: TrainerSettings, seed: int, scratch: Path) -> None:
    generator = torch.Generator().manual_seed(seed)
    for weight in scorer.score.parameters():
        nn.init.normal_(weight, std=weight.shape[-1] ** -0.5, generator=generator)
    seen = _drawn(pairs.cluster, seed) if how.bootstrap else np.arange(len(pairs))
    chosen = scorer.ids(pairs.prompts, pairs.chosen, how.chat)
    rejected = scorer.ids(pairs.prompts, pairs.rejected, how.chat)
    rows = [{"chosen_ids": list(chosen[at]), "rejected_ids": list(rejected[at])} for at in seen]
    # The trainer takes the last token that is no pad: that has to be the one that is read later.
    tokenizer = with_pad(scorer.tokenizer)
    scorer.model.config.pad_token_id = tokenizer.pad_token_id
    trainer = RewardTrainer(
        model=scorer.model,
        args=RewardConfig(
            output_dir=str(scratch),
            per_device_train_batch_size=how.batch,
            num_train_epochs=how.epochs,
            learning_rate=how.learning_rate,
            max_length=None,
            gradient_checkpointing=False,
            bf16=False,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            use_cpu=not torch.cuda.is_available(),
            disable_tqdm=True,
            seed=seed,
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
    )
    silence_trainer(trainer)
    trainer.train()
    scorer.eval()


def _drawn(cluster: Sequence[int] | np.ndarray, seed: int) -> np.ndarray:
    """Pairs of prompts that were drawn with replacement, a prompt drawn twice twice."""
    numbers = np.asarray(cluster)
    n = int(numbers.max()) + 1
    drawn = np.random.default_rng(seed).integers(n, size=n)
    return np.concatenate([np.flatnonzero(numbers == one) for one in drawn])
