"""The settings of `irl align`."""

from typing import Literal

from pydantic import Field, model_validator

from irl.config import Chat, Loading, Settings
from irl.rewards.aggregation import Aggregation, Kind


class AlignSettings(Settings):
    """What policy optimisation needs."""

    reward: str | None = None
    "a run that stored a reward, or a reward model's directory"
    policy: str | None = None
    "where it starts, which is also the reference"
    prompts: str | None = None
    gold: str | None = None
    "a reward that is held to be true; it is watched, never optimised"
    method: Literal["rloo", "grpo"] = "rloo"
    beta: float = Field(0.5, ge=0)
    """Price of one nat of KL, in units of the reward: an ensemble's is the standard deviation of
    its reference answers."""
    aggregation: Kind | None = None
    "of an ensemble; None takes its own"
    uncertainty_penalty: float = Field(0.5, ge=0)
    level: float = Field(0.25, ge=0, le=1)
    member: int | None = Field(None, ge=0)
    "optimise this member of an ensemble alone, while the others watch"
    steps: int = Field(125, ge=1)
    batch: int = Field(128, ge=2)
    answers_per_prompt: int = Field(8, ge=2)
    learning_rate: float = Field(3e-4, gt=0)
    max_new_tokens: int = Field(48, ge=1)
    lora: bool = False
    watched_prompts: int = Field(48, ge=2)
    watched_answers: int = Field(4, ge=2)
    watch_every: int = Field(5, ge=1)
    "steps; also between checkpoints"
    keep_checkpoints: bool = False
    "keep the policy of every look after the first under checkpoints/, for `irl drift`"
    stop_on_warning: bool = False
    chat: Chat = "auto"
    loading: Loading = Loading()
    seed: int = Field(0, ge=0)

    @property
    def aggregated(self) -> Aggregation | None:
        """The aggregation, where one is asked for."""
        if self.aggregation is None:
            return None
        return Aggregation(self.aggregation, self.uncertainty_penalty, self.level)

    @model_validator(mode="after")
    def _go_together(self) -> "AlignSettings":
        for name in ("reward", "policy", "prompts"):
            if getattr(self, name) is None:
                raise ValueError(f"give --{name}")
        if self.member is not None and self.aggregation is not None:
            raise ValueError("a member alone is not aggregated; give --member or --aggregation")
        if self.lora and self.keep_checkpoints:
            raise ValueError("checkpoints of an adapter are not kept; leave out lora or these")
        if self.batch % self.answers_per_prompt:
            raise ValueError("a batch holds whole groups: a multiple of answers_per_prompt")
        return self
