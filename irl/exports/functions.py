"""An ensemble in the signatures of those who call rewards.

    TRL        reward(prompts, completions, **columns) -> list of floats
    OpenRLHF   reward_func(queries, prompts, labels, **more) -> {"rewards", "scores", "extra_logs"}
    verl       compute_score(data_source, solution_str, ground_truth, extra_info) -> {"score", ...}

Each answer gets the aggregate; where a consumer logs more, the disagreement of the members goes
with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from irl.errors import InputError
from irl.policies.template import PromptText
from irl.rewards.aggregation import disagreement
from irl.rewards.ensemble import Ensemble
from irl.rewards.stored import load_reward

_PROMPT_KEYS = ("prompt", "question")
"Where verl's datasets keep the prompt in extra_info"


@dataclass(frozen=True)
class RewardFunctions:
    """One ensemble under several names."""

    ensemble: Ensemble
    __name__: str = "irl_ensemble"
    "TRL logs rewards by it"

    @classmethod
    def load(cls, folder: Path) -> "RewardFunctions":
        """The ensemble that a run's folder `reward` holds.

        Raises:
            InputError: it holds none.
        """
        reward = load_reward(folder)
        if not isinstance(reward, Ensemble):
            raise InputError(f"{folder} holds no ensemble; `irl ensemble` makes one.")
        return cls(reward)

    def __call__(
        self, prompts: Sequence[Any], completions: Sequence[Any], **_columns: object
    ) -> list[float]:
        """TRL's `reward_funcs`; conversational completions are lists with one message."""
        texts = [one if isinstance(one, str) else _said(one) for one in completions]
        return self._aggregate(texts, list(prompts)).tolist()

    def openrlhf(
        self, queries: Sequence[str], prompts: Sequence[str], _labels: object = None, **_more: Any
    ) -> dict[str, Any]:
        """OpenRLHF's `reward_func`: queries are prompts with their answers."""
        texts = [_after(prompt, query) for prompt, query in zip(prompts, queries, strict=True)]
        members = self.ensemble.members(texts, list(prompts))
        rewards = self.ensemble.aggregation(members).double()
        logs = {"disagreement": disagreement(members).double()}
        return {"rewards": rewards, "scores": rewards.sigmoid(), "extra_logs": logs}

    def verl(
        self,
        _data_source: str,
        solution_str: str,
        _ground_truth: object,
        extra_info: Mapping[str, Any] | None = None,
    ) -> dict[str, float]:
        """What verl calls `compute_score`: one answer; its prompt stands in extra_info."""
        given = extra_info or {}
        prompt = next((given[key] for key in _PROMPT_KEYS if key in given), None)
        prompts = None if prompt is None else [prompt]
        members = self.ensemble.members([solution_str], prompts)
        score = float(self.ensemble.aggregation(members)[0])
        return {"score": score, "disagreement": float(disagreement(members)[0])}

    def _aggregate(
        self, texts: Sequence[str], prompts: Sequence[PromptText]
    ) -> Float[Tensor, " text"]:
        return self.ensemble(texts, prompts).to(torch.float64)


def _said(completion: Sequence[Mapping[str, str]]) -> str:
    return "".join(message["content"] for message in completion)


def _after(prompt: str, query: str) -> str:
    if not query.startswith(prompt):
        raise InputError("A query does not begin with its prompt, so its answer cannot be told.")
    return query[len(prompt) :]
