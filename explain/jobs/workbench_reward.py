"""The reward of an audit, told of any text, with the interval that the audit gave its answers.

A run stores the weights of its terms, not the draws that their intervals come from. Both are a
function of the answers that it has kept: the same least squares give the weights back, which is
checked, and the same draws of prompts their uncertainty. Of a run without answers the reward is
known, and its interval is not.

responses.parquet holds another fit: each answer is priced without the answers of its fold, and
centred within its prompt. Here it is the reward that the run has stored, fitted to all of them, as
in report.json and in `paid_for_nats`, which add up to it.

Not identified: a constant of the prompt. What is told is the difference of two answers to the same
prompt; an answer alone is held against one that says nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from irl.bootstrap import codes, percentile_estimate
from irl.data import Prompt, prompt_id, stored_prompt
from irl.errors import InputError, RunError
from irl.records import Caveat
from irl.records.workbench import Worth
from irl.recovery.log_ratio import drawn_again
from irl.rewards.conditions import TypedPrompt
from irl.rewards.stored import load_reward
from irl.rewards.terms import TermReward
from irl.within import spread

Array = NDArray[np.float64]
_COLUMNS = ("prompt_id", "prompt", "response", "log_ratio_nats")


@dataclass(frozen=True)
class Kept:
    """The answers of a run, as its reward was fitted to them."""

    prompts: dict[str, Prompt]
    "by their ids"
    prompt_ids: list[str]
    "of each answer"
    texts: list[str]
    returns: Array

    @classmethod
    def of(cls, run: Path) -> "Kept | None":
        """None where the run has kept none.

        Raises:
            RunError: the table is damaged.
        """
        file = run / "responses.parquet"
        if not file.is_file():
            return None
        try:
            table = pq.read_table(file, columns=list(_COLUMNS))
            ids, prompts, texts, _ = (table[name].to_pylist() for name in _COLUMNS)
            stored = dict(zip(ids, prompts, strict=True))
            return cls(
                {name: stored_prompt(text, name) for name, text in stored.items()},
                ids,
                texts,
                table["log_ratio_nats"].to_numpy(),
            )
        except (OSError, KeyError, ValueError, pa.ArrowException) as error:
            raise RunError(f"The answers of {run} cannot be read ({error}).") from None

    @property
    def spread(self) -> float:
        """Of log-ratios within prompts, nats."""
        return spread(self.returns, codes(self.prompt_ids))


@dataclass(frozen=True)
class Drawing:
    """How the audit drew the intervals of its reward."""

    draws: int
    seed: int


@dataclass(frozen=True)
class PricedReward:
    """What an answer is worth to the recovered reward."""

    reward: TermReward
    types: Mapping[str, str | None] = field(default_factory=dict)
    "of prompts, by their ids"
    drawn: Array | None = None
    "[draw, term + 1]: its weights, and the price of a word; None without an interval"
    prompts: int = 0
    "that the interval is taken over"

    @classmethod
    def of(
        cls,
        run: Path,
        kept: Kept | None,
        types: Callable[[], Mapping[str, str | None]],
        drawing: Drawing,
    ) -> "tuple[PricedReward | None, list[Caveat]]":
        """The reward that a run has stored, and what is missing of it.

        Args:
            run: its folder.
            kept: its answers.
            types: those of its prompts; asked for if a term depends on them.
            drawing: of the intervals.
        """
        try:
            reward = load_reward(run / "reward")
        except (OSError, InputError, KeyError, ValueError) as error:
            return None, [Caveat(code="no-reward", text=f"No reward can be told: {error}")]
        if not isinstance(reward, TermReward):
            text = "No reward can be told: that of this run is not one of terms."
            return None, [Caveat(code="no-reward", text=text)]
        if not reward.terms and not reward.per_word:
            text = "The audit found no word that is paid for: to its reward all answers are alike."
            return cls(reward), [Caveat(code="no-term", text=text)]
        priced = cls(reward, types() if _asks_for_types(reward) else {})
        if kept is None:
            text = (
                "The reward has no interval: it is taken from the answers of the audit, which this "
                "run has not kept; audit the pair again to have one."
            )
            return priced, [Caveat(code="no-interval", text=text)]
        return _with_draws(priced, kept, drawing)

    def asked(self, prompt: Prompt) -> TypedPrompt | None:
        """The prompt as terms look at it; None if they ask for its type, which nobody knows."""
        kind = self.types.get(prompt_id(prompt))
        if kind is None and _asks_for_types(self.reward):
            return None
        return TypedPrompt.of(prompt, kind)

    def features(self, texts: Sequence[str], asked: TypedPrompt) -> Array:
        """What the reward is linear in, of answers to one prompt, [text, term + 1]."""
        return self.reward.features(texts, [asked] * len(texts))

    def worth(self, difference: Array) -> Worth:
        """What a difference of the features of two answers to one prompt is worth."""
        value = float(difference @ np.array([*self.reward.weights, self.reward.per_word]))
        told = None
        if self.drawn is not None:
            told = percentile_estimate(value, self.drawn @ difference, self.prompts)
        if told is None:
            return Worth(value=value, low=None, high=None, n=None)
        return Worth(**told.model_dump())


def _asks_for_types(reward: TermReward) -> bool:
    return any(condition.prompt_type is not None for condition in reward.conditional)


def _with_draws(
    priced: PricedReward, kept: Kept, drawing: Drawing
) -> tuple[PricedReward, list[Caveat]]:
    asked = [TypedPrompt.of(kept.prompts[name], priced.types.get(name)) for name in kept.prompt_ids]
    prompt = codes(kept.prompt_ids)
    try:
        drawn = drawn_again(
            priced.reward, kept.texts, asked, kept.returns, prompt, drawing.draws, drawing.seed
        )
    except InputError as error:
        text = f"The reward has no interval: {error}"
        return priced, [Caveat(code="no-interval", text=text)]
    return PricedReward(priced.reward, priced.types, drawn, int(prompt.max()) + 1), []
