"""The settings of `irl ensemble`."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from irl.config import Chat, Fitting, Learning, Loading, Settings
from irl.ensembles.training import Loss
from irl.policies.encoder import Pooling
from irl.rewards.aggregation import Aggregation, Kind


class Members(Learning):
    """How members are fitted; of `Learning`, with defaults for batches of embeddings (2411.04991).

    Where trees are fitted, epochs count trees.
    """

    seeds: tuple[int, ...] = Field(tuple(range(10)), min_length=1)
    epochs: int = Field(100, ge=1)
    patience: int = Field(5, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    penalties: tuple[float, ...] = Field((1e-4,), min_length=1)
    prompts_per_step: int = Field(128, ge=1)


TRANSFORMER_MEMBERS = {
    "seeds": (0, 1, 2),
    "epochs": 1,
    "learning_rate": 1e-4,
    "prompts_per_step": 8,
}
"Where nothing else is said: every member is a model, by TRL's RewardTrainer"


class EnsembleSettings(Settings):
    """What an ensemble needs."""

    preferences: str | None = None
    run: str | None = None
    "a finished run: its answers, preferred by what it says of them"
    label: Literal["reward", "log-ratio"] = "reward"
    "of a run: the reward that it recovered, or what that was fitted to"
    form: Literal["linear", "mlp", "boosted", "transformer"] = "mlp"
    hidden: tuple[Annotated[int, Field(ge=1)], ...] = Field((64,), min_length=1)
    "widths of an mlp; 1024, 512 is the published head"
    loss: Loss = "bradley-terry"
    diversity: Literal["bootstrap", "seed"] = "bootstrap"
    aggregation: Kind = "mean"
    uncertainty_penalty: float = Field(0.5, ge=0)
    "lambda of uwo"
    level: float = Field(0.25, ge=0, le=1)
    "q of quantile"
    features: Literal["words", "embeddings"] = "words"
    base: str | None = None
    "what embeds answers (a policy or a sentence encoder), or what a transformer starts from"
    pooling: Pooling = "mean"
    "last: the state that a reward model's score reads, so that linear members can be exported"
    chat: Chat = "auto"
    loading: Loading = Loading()
    fitting: Fitting = Fitting()
    learning: Members = Members()
    reference_answers: int = Field(512, ge=8)
    "training answers on which members are standardised"
    held_out_share: float = Field(0.25, gt=0, lt=1)
    confidences: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = (0.8, 0.9, 0.95)
    "of conformal abstention"
    seed: int = Field(0, ge=0)

    @property
    def aggregated(self) -> Aggregation:
        """The aggregation."""
        return Aggregation(self.aggregation, self.uncertainty_penalty, self.level)

    @property
    def needs_base(self) -> bool:
        """Whether members read more than words."""
        return self.form == "transformer" or self.features == "embeddings"

    @model_validator(mode="before")
    @classmethod
    def _by_form(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("form") == "transformer":
            learning = given.get("learning", {})
            if isinstance(learning, dict):
                return {**given, "learning": TRANSFORMER_MEMBERS | learning}
        return given

    @model_validator(mode="after")
    def _go_together(self) -> "EnsembleSettings":
        if (self.preferences is None) == (self.run is None):
            raise ValueError("give either --preferences or --run")
        if self.label != "reward" and self.run is None:
            raise ValueError(f"label {self.label} is of the answers of a run; give --run")
        if self.needs_base and self.base is None:
            raise ValueError(
                "embeddings and transformers need --base, a policy or a sentence encoder"
            )
        if not self.needs_base and self.base is not None:
            raise ValueError("words need no --base; give --features embeddings to read with it")
        seeds = self.learning.seeds
        if len(set(seeds)) < len(seeds):
            raise ValueError("two members with one seed are the same member; give unlike seeds")
        if self.form == "transformer" and self.loss != "bradley-terry":
            raise ValueError("TRL's RewardTrainer knows the loss bradley-terry only")
        return self
