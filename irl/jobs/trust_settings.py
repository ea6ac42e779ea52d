"""The settings of `irl trust`."""

from pydantic import Field, model_validator

from irl.config import Chat, Loading, Settings


class TrustSettings(Settings):
    """What the question of trust needs."""

    reward: str | None = None
    "a run of `irl ensemble`"
    responses: str | None = None
    "samples: prompt, response; beside a policy, they are held to be its answers"
    policy: str | None = None
    "whose answers are asked about; without responses, it answers the prompts"
    reference: str | None = None
    "the policy that wrote what the reward was fitted to; None: the base of the ensemble"
    prompts: str | None = None
    "of the policy; None: those of the held-out pairs. Beside responses, only their types count"
    prompt_limit: int | None = Field(64, ge=2)
    "use only the first so many prompts"
    answers: int = Field(8, ge=2, le=1024)
    "to each prompt, of either policy"
    max_new_tokens: int = Field(48, ge=1)
    token_budget: int = Field(16384, ge=64)
    "padded tokens of one forward pass"
    neighbours: int = Field(10, ge=1)
    "how many nearest answers count"
    shown: int = Field(3, ge=1)
    "how many of them are kept with a response"
    most_answers: int = Field(4000, ge=50)
    "that are embedded of the fitted and of the held-out ones; drawn where there are more"
    chat: Chat = "auto"
    loading: Loading = Loading()
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _go_together(self) -> "TrustSettings":
        if self.reward is None:
            raise ValueError("give --reward, a run of `irl ensemble`")
        if self.responses is None and self.policy is None:
            raise ValueError("give --responses, or --policy to draw some")
        return self
