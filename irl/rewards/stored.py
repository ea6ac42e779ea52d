"""Rewards on disk: a run's folder `reward` holds one, whatever its kind."""

from pathlib import Path

from irl.errors import InputError
from irl.rewards.ensemble import NAME, Ensemble
from irl.rewards.head_reward import HeadReward
from irl.rewards.terms import TermReward

Reward = TermReward | HeadReward | Ensemble


def load_reward(folder: Path) -> Reward:
    """The reward that a run stored.

    Raises:
        InputError: there is none.
    """
    if (folder / "terms.json").is_file():
        return TermReward.load(folder, "terms")
    if (folder / f"{NAME}.json").is_file():
        return Ensemble.load(folder)
    if (folder / "head.json").is_file():
        return HeadReward.load(folder, "head")
    raise InputError(f"There is no reward in {folder}; `irl recover` stores one in its run folder.")
