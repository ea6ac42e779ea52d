"""A reward ensemble: members that are brought to one zero and one unit, and an aggregation.

    standardised member m:  (r_m(y) - mean_m) / sd_m        over a fixed sample of reference answers

A member's scale and constant are not identified by preferences, and members that are fitted alike
still differ in both; without this the loudest member would rule mean, minimum and variance.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from irl.errors import InputError
from irl.policies.template import PromptText
from irl.rewards.aggregation import Aggregation
from irl.rewards.head_reward import HeadReward
from irl.rewards.heads import Scores

NAME = "ensemble"
_CONSTANT = 1e-6
"Spread over size that rounding alone gives"
PerMember = Float[Tensor, " member"]


@dataclass(frozen=True)
class Ensemble:
    """Callable on texts. Identified up to a scale and a constant of each prompt."""

    reward: HeadReward
    "the members as they were fitted"
    centre: PerMember
    scale: PerMember
    aggregation: Aggregation

    @classmethod
    def standardised(
        cls, reward: HeadReward, reference: Scores, aggregation: Aggregation
    ) -> "Ensemble":
        """An ensemble in the units of its members' scores of reference answers.

        A member that says the same of all of them has no unit and is left out: a fit that was
        stopped where it began, since it learnt nothing that held for other prompts.

        Args:
            reward: the members.
            reference: their scores of a fixed sample of answers.
            aggregation: how they become one.

        Raises:
            InputError: a member is not finite there, or none is left.
        """
        if not reference.isfinite().all():
            raise InputError("Some members score reference answers as NaN or infinite.")
        spread = reference.std(1, correction=0)
        live = (spread > _CONSTANT * reference.abs().amax(1).clamp(min=1)).nonzero().squeeze(1)
        if not len(live):
            raise InputError(
                f"All {len(spread)} members say the same of every answer: nothing that was learnt "
                "held for other prompts; give more preferences, or other features."
            )
        if len(live) < len(spread):
            reward = replace(reward, head=reward.head.members_at(live), chosen=0)
        return cls(reward, reference[live].mean(1), spread[live], aggregation)

    def aggregated(self, aggregation: Aggregation) -> "Ensemble":
        """The same members under another aggregation."""
        return replace(self, aggregation=aggregation)

    def in_units(self, scores: Scores) -> Scores:
        """Scores of the members as they were fitted, standardised."""
        return (scores - self.centre[:, None]) / self.scale[:, None]

    def members(self, texts: Sequence[str], prompts: Sequence[PromptText] | None = None) -> Scores:
        """Standardised scores of every member, [member, text]."""
        return self.in_units(self.reward.members(texts, prompts))

    def __call__(
        self, texts: Sequence[str], prompts: Sequence[PromptText] | None = None
    ) -> Float[Tensor, " text"]:
        """The aggregate, in standard deviations of the reference sample."""
        scores = self.members(texts, prompts)
        return self.aggregation(scores) if texts else scores.new_zeros(0)

    def save(self, folder: Path, **about: object) -> None:
        """Write the members (head.json and what it needs) and ensemble.json."""
        self.reward.save(folder, "head", **about)
        units = {"centre": self.centre.contiguous(), "scale": self.scale.contiguous()}
        save_file(units, folder / f"{NAME}.safetensors")
        document = {"kind": NAME, "aggregation": asdict(self.aggregation), **about}
        text = json.dumps(document, ensure_ascii=False, indent=1)
        (folder / f"{NAME}.json").write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Ensemble":
        """Read what `save` wrote, to the last bit.

        Raises:
            InputError: it is not there, or no ensemble.
            PolicyError: a model that it needs is not there any more.
        """
        reward = HeadReward.load(folder, "head")
        try:
            document = json.loads((folder / f"{NAME}.json").read_text(encoding="utf-8"))
            units = load_file(folder / f"{NAME}.safetensors")
            aggregation = Aggregation(**document["aggregation"])
            return cls(reward, units["centre"], units["scale"], aggregation)
        except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
            raise InputError(
                f"There is no ensemble that can be read in {folder} ({error})."
            ) from None


def reference_sample(n: int, of: int, seed: int) -> Tensor:
    """Which answers standardise the members: at most n, drawn without looking at anything."""
    order = torch.randperm(of, generator=torch.Generator().manual_seed(seed))
    return order[:n].sort().values
