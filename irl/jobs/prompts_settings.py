"""The settings of `irl prompts`."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from irl.config import Chat, Fitting, Learning, Loading, Sampling, Settings
from irl.policies.encoder import Pooling


class OutcomeMembers(Learning):
    """How members are fitted to outcomes; where trees are, epochs count trees.

    Batches count trials.
    """

    seeds: tuple[int, ...] = Field(tuple(range(10)), min_length=1)
    epochs: int = Field(100, ge=1)
    patience: int = Field(5, ge=1)
    learning_rate: float = Field(5e-3, gt=0)
    penalties: tuple[float, ...] = Field((1e-2,), min_length=1)
    prompts_per_step: int = Field(256, ge=1)


class PromptsSettings(Settings):
    """What choosing prompts needs: a log of outcomes, or a policy and a reward of its answers."""

    log: str | None = None
    policy: str | None = None
    reward: str | None = None
    "of the policy's answers, fitted to outcomes"
    absolute: bool = False
    "vouches that a reward whose files do not tell was fitted to absolute labels"
    queries: str | None = None
    "None: those of the log"
    candidates: str | None = None
    "prompts to choose among; None: those of the log"
    form: Literal["linear", "mlp", "boosted"] = "linear"
    "all read products of query and prompt, so a linear one chooses per query too"
    hidden: tuple[Annotated[int, Field(ge=1)], ...] = Field((32,), min_length=1)
    base: str | None = None
    "what embeds queries, prompts and answers (a policy or a sentence encoder); None counts words"
    pooling: Pooling = "mean"
    chat: Chat = "auto"
    loading: Loading = Loading()
    fitting: Fitting = Fitting()
    learning: OutcomeMembers = OutcomeMembers()
    place: Literal["prefix", "system"] = "prefix"
    "how a policy reads a prompt: before the query in one text, or as the system's message"
    separator: str = "\n"
    "between a prefix and its query"
    n_folds: int = Field(5, ge=2, le=20)
    "of queries"
    sampling: Sampling = Sampling()
    worst: int = Field(20, ge=1)
    "pairs on the red-team list"
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _go_together(self) -> "PromptsSettings":
        if (self.log is None) == (self.policy is None):
            raise ValueError("give either --log, or --policy with --reward")
        if self.policy is None and self.reward is not None:
            raise ValueError("--reward scores the answers of a policy; give --policy as well")
        lacking = [name for name in ("reward", "queries", "candidates") if not getattr(self, name)]
        if self.policy is not None and lacking:
            raise ValueError(f"--policy needs --{lacking[0]} as well")
        return self
