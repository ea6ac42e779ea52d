"""An ensemble in the signatures of those who call rewards.

    TRL        reward(prompts, completions, **columns) -> list of floats
    OpenRLHF   reward_func(queries, prompts, labels, **more) -> {"rewards", "scores", "extra_logs"}
    verl       compute_score(data_source, solution_str, ground_truth, extra_info) -> {"score", ...}

Each answer gets the aggregate. Where a consumer logs more, `member_spread` goes with it: the
standard deviation of the members' scores. It holds each member's constant of the prompt, which
nothing identifies, so only answers to one prompt can be compared by it. Answers that cannot be
scored raise, for a number in their place would be learnt.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from irl.errors import InputError
from irl.policies.template import Rendered
from irl.rewards.aggregation import disagreement
from irl.rewards.ensemble import Ensemble
from irl.rewards.heads import Scores
from irl.rewards.stored import load_reward

_PROMPT_KEYS = ("prompt", "question")
"Where verl's datasets keep the prompt in extra_info"
_CLOSED = re.compile(r"(?:\s*(?:</s>|<\|[^|<>\s]*\|>))+\s*$")
"How tokenizers write the end of an answer"


@dataclass(frozen=True)
class RewardFunctions:
    """One ensemble under several names."""

    ensemble: Ensemble
    __name__: str = "irl_ensemble"
    "TRL logs rewards by it"
    chats: bool = False
    """Whether it was fitted to chats: then verl's string is a user's message, and OpenRLHF's
    prompt a rendered chat."""

    @classmethod
    def load(cls, folder: Path) -> "RewardFunctions":
        """The ensemble that a run's folder `reward` holds.

        Raises:
            InputError: it holds none.
        """
        reward = load_reward(folder)
        if not isinstance(reward, Ensemble):
            raise InputError(f"{folder} holds no ensemble; `irl ensemble` makes one.")
        document = json.loads((folder / "ensemble.json").read_text(encoding="utf-8"))
        return cls(reward, chats=bool(document.get("chats")))

    def __call__(
        self, prompts: Sequence[Any], completions: Sequence[Any], **_columns: object
    ) -> list[float | None]:
        """TRL's `reward_funcs`; conversational completions are lists of messages.

        None, which TRL leaves out, for an answer whose score is not finite.
        """
        texts = [one if isinstance(one, str) else _said(one) for one in completions]
        members = self.ensemble.members(texts, list(prompts))
        scores = self.ensemble.aggregation(members).double().tolist()
        return [score if math.isfinite(score) else None for score in scores]

    def openrlhf(
        self, queries: Sequence[str], prompts: Sequence[str], labels: object = None, **_more: Any
    ) -> dict[str, Any]:
        """OpenRLHF's `reward_func`: queries are prompts with their answers."""
        del labels
        both = enumerate(zip(prompts, queries, strict=True), 1)
        texts = [_after(prompt, query, number) for number, (prompt, query) in both]
        # The trainer has rendered chats already.
        asked = [Rendered(prompt) if self.chats else prompt for prompt in prompts]
        members = _finite(self.ensemble.members(texts, asked))
        rewards = self.ensemble.aggregation(members).double()
        logs = {"member_spread": disagreement(members).double()}
        return {"rewards": rewards, "scores": rewards.sigmoid(), "extra_logs": logs}

    def verl(
        self,
        data_source: str,
        solution_str: str,
        ground_truth: object,
        extra_info: Mapping[str, Any] | None = None,
        **_more: Any,
    ) -> dict[str, float]:
        """What verl calls `compute_score`: one answer; its prompt stands in extra_info."""
        del data_source, ground_truth
        given = extra_info or {}
        prompt = next((given[key] for key in _PROMPT_KEYS if given.get(key) is not None), None)
        if isinstance(prompt, str) and self.chats:
            prompt = [{"role": "user", "content": prompt}]
        prompts = None if prompt is None else [prompt]
        members = _finite(self.ensemble.members([solution_str], prompts))
        score = float(self.ensemble.aggregation(members)[0])
        return {"score": score, "member_spread": float(disagreement(members)[0])}


def _finite(scores: Scores) -> Scores:
    if not scores.isfinite().all():
        bad = int((~scores.isfinite().all(0)).sum())
        raise InputError(f"The members' scores of {bad} answers are NaN or infinite.")
    return scores


def _said(completion: Sequence[Mapping[str, Any]]) -> str:
    """The text of a completion's messages; calls of tools hold none."""
    return "".join(_text(message.get("content")) for message in completion)


def _text(content: object) -> str:
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return "" if content is None else str(content)


def _after(prompt: str, query: str, number: int) -> str:
    """The answer, which follows the prompt up to spaces and case: tokenizers change both."""
    start = len(prompt) if query.startswith(prompt) else _end_of(prompt, query)
    if start is None:
        raise InputError(
            f"Query {number} does not begin with its prompt, so its answer cannot be told."
        )
    return _CLOSED.sub("", query[start:])


def _end_of(prompt: str, query: str) -> int | None:
    """Where the prompt ends in a query that tells its characters in the same order."""
    wanted = iter("".join(prompt.split()).casefold())
    letter = next(wanted, None)
    for at, found in enumerate(query):
        if letter is None:
            return at
        if found.isspace():
            continue
        for one in found.casefold():
            if one != letter:
                return None
            letter = next(wanted, None)
    return len(query) if letter is None else None
