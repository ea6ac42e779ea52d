"""A reward as users name it: a run or folder that stores one, or a reward model's directory."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from irl.config import Chat, Loading
from irl.errors import InputError
from irl.policies.checkpoint import files_sha256, read_json
from irl.policies.reward_model import load_scorer
from irl.policies.template import PromptText
from irl.rewards.ensemble import Ensemble
from irl.rewards.head_reward import HeadReward
from irl.rewards.stored import Reward, load_reward
from irl.rewards.terms import TermReward
from irl.rewards.transformer import TokenIds, Transformer
from irl.runs import find_run

Array = NDArray[np.float64]


@dataclass(frozen=True)
class NamedReward:
    """Callable on texts after their prompts."""

    name: str
    reward: Reward

    @property
    def reads_chats(self) -> bool:
        """Whether its prompts may be messages, rendered by a chat template."""
        one = self.reward.reward if isinstance(self.reward, Ensemble) else self.reward
        return isinstance(one, HeadReward) and one.features.reads_chats

    @torch.inference_mode()
    def __call__(self, texts: Sequence[str], prompts: Sequence[PromptText]) -> Array:
        """The reward of each text; NaN where what it reads is not finite."""
        given = (texts,) if isinstance(self.reward, TermReward) else (texts, prompts)
        scores: Array = self.reward(*given).double().numpy()
        return scores


def is_reward_model(source: str) -> bool:
    """Whether a directory holds a model with a score."""
    file = Path(source) / "config.json"
    named = read_json(file).get("architectures") if file.is_file() else None
    return any(str(one).endswith("ForSequenceClassification") for one in named or ())


def reward_folder(source: str) -> Path:
    """Where a stored reward lies: the folder itself, or a run's.

    Raises:
        RunError: there is no such run.
    """
    own = [Path(source) / f"{name}.json" for name in ("terms", "ensemble", "head")]
    run = (Path(source) / "config.yaml").is_file()
    if not run and any(file.is_file() for file in own):
        return Path(source)
    return find_run(source) / "reward"


def reward_sha256(source: str) -> str:
    """The hash of what `named_reward` would read.

    Raises:
        RunError: there is no such run.
    """
    model = (Path(source) / "config.json").is_file()
    return files_sha256(Path(source) if model else reward_folder(source))


def named_reward(source: str, chat: Chat = "auto", loading: Loading | None = None) -> NamedReward:
    """Load it.

    Args:
        source: the directory of a reward model or of a stored reward, or a run: path, run id or its
            beginning.
        chat: how a reward model reads prompts; what a run stored knows that by itself.
        loading: how a reward model is loaded.

    Raises:
        InputError: there is no reward, or one that other prompts than texts decide.
        PolicyError: a model cannot be loaded.
        RunError: there is no such run.
    """
    if (Path(source) / "config.json").is_file():
        scorer = load_scorer(source, loading or Loading(), scored=True)
        weights = [weight.detach()[None] for weight in scorer.parameters()]
        return NamedReward(source, HeadReward(TokenIds(scorer, chat), Transformer(scorer, weights)))
    if chat != "auto":
        raise InputError(
            "--chat is for the directories of reward models; how a run's reward reads prompts is "
            "stored with it."
        )
    reward = load_reward(reward_folder(source))
    if isinstance(reward, TermReward) and reward.conditional:
        raise InputError(
            f"The reward of {source} pays terms under conditions of the prompt, which nothing "
            "tells here; give a reward without conditions."
        )
    return NamedReward(source, reward)
