"""Seeds of a recovery as tasks of an engine, where that changes no number.

Large members are fitted one after another anyway (`irl.recovery.fit`), so each may be fitted
elsewhere. Small heads are one batch: cut into tasks they would be the same up to rounding only, and
take longer.
"""

from dataclasses import dataclass

import torch

from irl.config import HeadMethod, HeadSettings, Learning, Loading
from irl.engine.engine import HERE, Engine
from irl.policies.encoder import Encoder
from irl.policies.reward_model import Scorer, load_scorer
from irl.recovery.examples import Examples
from irl.recovery.fit import LARGE, Fitted, joined
from irl.recovery.methods import METHODS
from irl.rewards.heads import Form
from irl.rewards.transformer import transformer


@dataclass(frozen=True)
class OneSeed:
    """One seed for whoever does the work."""

    method: HeadMethod
    examples: Examples
    learning: Learning
    base: str
    loading: Loading

    def fitted(self) -> "Weights":
        """What is fitted, without the module that all members run through."""
        scorer = load_scorer(self.base, self.loading)
        found = METHODS[self.method](self.examples, transformer(scorer), self.learning)
        parts = [[one.detach() for one in part.parameters()] for part in found.parts]
        return Weights(parts, found.validation, found.held_out, found.penalties)


@dataclass(frozen=True)
class Weights:
    """`Fitted` as it is sent."""

    parts: list[list[torch.Tensor]]
    validation: torch.Tensor
    held_out: torch.Tensor
    penalties: torch.Tensor

    def held_by(self, form: Form) -> Fitted:
        """In heads of this form."""
        empty = form(1, 0, torch.Generator())
        heads = tuple(empty.holding(part) for part in self.parts)
        return Fitted(heads, self.validation, self.held_out, self.penalties)


def fitted(
    examples: Examples,
    form: Form,
    settings: HeadSettings,
    base: Encoder | Scorer | None,
    engine: Engine = HERE,
) -> Fitted:
    """All seeds, by the method of the settings."""
    learning = settings.learning
    if engine.models_here or not isinstance(base, Scorer) or _size(base) <= LARGE:
        return METHODS[settings.method](examples, form, learning)
    loading = settings.loading.model_copy(update={"dtype": "float32"})
    orders = [
        OneSeed(
            settings.method,
            examples,
            learning.model_copy(update={"seeds": (seed,)}),
            base.source,
            loading,
        )
        for seed in learning.seeds
    ]
    found = engine.each(OneSeed.fitted, orders, "seed")
    return joined([one.held_by(form) for one in found])


def _size(base: Scorer) -> int:
    return sum(weight.numel() for weight in base.parameters())
