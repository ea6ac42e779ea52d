"""Which rewards may be compared between prompts: those that were fitted to absolute labels.

    log pi_aligned / pi_reference = r / beta + c(prompt)

A log-ratio, and whatever is fitted to log-ratios or to comparisons within a prompt, leaves c free:
adding any constant of a prompt changes neither its odds nor its loss, but it changes which prompt
looks best. A pointwise loss on pairs pins c, at a place that says nothing: every prompt has as many
chosen answers as rejected ones. Outcomes, which mean the same under every prompt, leave nothing
free.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from irl.config import Loading
from irl.errors import InputError
from irl.jobs.named_reward import is_reward_model, named_reward, reward_folder
from irl.policies.template import PromptText
from irl.rewards.head_reward import HeadReward
from irl.runs import read_run

Array = NDArray[np.float64]
LABELS: Final = {"labels": "absolute"}
"What a stored reward that was fitted to outcomes says of itself"
_RELATIVE: Final = frozenset({"audit", "recover", "ensemble"})
"Commands whose rewards are fitted within prompts"
_REASON: Final = (
    "which leaves a constant of every prompt free (log pi_aligned / pi_reference = reward / beta + "
    "c(prompt)), so rewards of different prompts cannot be compared"
)
_INSTEAD: Final = (
    "give a reward that was fitted to outcomes, such as that of `irl prompts --log` on a log with "
    "responses"
)


@dataclass(frozen=True)
class AbsoluteReward:
    """Callable on answers after their queries."""

    name: str
    unit: str
    read: Callable[[Sequence[str], Sequence[PromptText]], Array]


def absolute_reward(source: str, *, declared: bool, loading: Loading) -> AbsoluteReward:
    """A reward that may be compared between prompts.

    Args:
        source: named as for `named_reward`.
        declared: the user vouches for a reward whose files do not tell; no word changes what is
            known to be relative.
        loading: how a reward model is loaded.

    Raises:
        InputError: it may not, or nothing tells; there is no reward.
        PolicyError: a model cannot be loaded.
        RunError: there is no such run.
    """
    about = _about(source)
    if about.get("labels") == LABELS["labels"]:
        return _fitted_to_outcomes(source)
    if relative := _relative(source, about):
        raise InputError(
            f"The reward of {source} cannot choose between prompts: {relative}, {_REASON}; "
            f"{_INSTEAD}."
        )
    if not declared:
        raise InputError(
            f"Nothing tells how the reward of {source} was fitted; a fit to comparisons within a "
            "prompt leaves a constant of every prompt free, and rewards of different prompts "
            "cannot be compared then. If it was fitted to absolute labels (as a classifier is), "
            f"say so with --absolute; else {_INSTEAD}."
        )
    return AbsoluteReward(source, "units of the reward", named_reward(source, loading=loading))


def _about(source: str) -> dict[str, Any]:
    """What a stored reward says of itself; empty for the directory of a model."""
    if (Path(source) / "config.json").is_file():
        return {}
    folder = reward_folder(source)
    command = _command(folder)
    if command == "prompts" and not (folder / "head.json").is_file():
        raise InputError(
            f"The run {source} fitted a head of queries and prompts, which scores no answers; a "
            "log with a `response` in every row gives a reward of answers as well."
        )
    found: dict[str, Any] = {}
    for name in ("terms", "head", "ensemble"):
        try:
            found |= json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError, TypeError):
            continue
    return found | {"command": command}


def _command(folder: Path) -> str | None:
    """Of the run that holds a reward."""
    return read_run(folder).command or read_run(folder.resolve().parent).command


def _relative(source: str, about: dict[str, Any]) -> str | None:
    """Why a reward is known to be fitted within prompts; None where it is not."""
    if about.get("command") in _RELATIVE:
        return f"`irl {about['command']}` fits within prompts"
    if about.get("loss") or about.get("method"):
        return f"it was fitted within prompts ({about.get('loss') or about.get('method')})"
    here = Path(source)
    if (here / "config.json").is_file() and not is_reward_model(source):
        return "it is a language model, whose implicit reward is a log-ratio"
    if (here / "config.json").is_file() and (here.resolve().parent / "ensemble.json").is_file():
        return "`irl export` wrote it, of an ensemble that compares answers to one prompt"
    return None


def _fitted_to_outcomes(source: str) -> AbsoluteReward:
    reward = HeadReward.load(reward_folder(source), "head")

    def read(texts: Sequence[str], queries: Sequence[PromptText]) -> Array:
        """The mean of the members' probabilities."""
        scores: Array = torch.sigmoid(reward.members(texts, queries)).mean(0).double().numpy()
        return scores

    return AbsoluteReward(source, "probability of success", read)
