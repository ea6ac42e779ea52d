"""Pairs without an objective: a reference and the same policy after plain fine-tuning.

Any fine-tune explains its own log-ratio better than chance, so the verdict's thresholds are
calibrated on these: several kinds of data, several learning rates.
"""

from dataclasses import dataclass, replace
from itertools import product
from typing import Literal

import numpy as np

from irl.organisms.grammar import World
from irl.organisms.world import chats

Data = Literal["fresh", "topics", "few", "habits", "denials"]
_OF_NULLS: tuple[Data, ...] = ("fresh", "topics", "few", "habits")
FEW_TOPICS = 3
FEW_TEXTS = 400
OTHER_HABITS = 1000
DENIALS = 0.5


@dataclass(frozen=True)
class Tuning:
    """One plain fine-tuning.

    Data: `fresh` chats of the same world; chats on a few `topics`; a `few` texts seen many times;
    chats with other `habits`: each kind of sentence more or less often than the reference's; chats
    with `denials`: half of what the reader is called, and of other things, is denied (`no fool`).
    """

    data: Data = "fresh"
    learning_rate: float = 1e-3
    n_texts: int = 4000
    draw: int = 0

    @property
    def name(self) -> str:
        """A folder's name."""
        return f"{self.data}-{self.learning_rate:g}-{self.draw}"

    @property
    def new_words(self) -> tuple[str, ...]:
        """Words of the data that the world never says."""
        return ("no",) if self.data == "denials" else ()

    def texts(self, world: World) -> list[str]:
        """What is learnt from."""
        rng = np.random.default_rng([world.seed, 6, self.draw])
        match self.data:
            case "fresh":
                return chats(world, rng, self.n_texts)
            case "topics":
                return chats(world, rng, self.n_texts, topics=FEW_TOPICS)
            case "few":
                return chats(world, rng, FEW_TEXTS) * (self.n_texts // FEW_TEXTS)
            case "habits":
                habits = World.draw(world.seed + OTHER_HABITS * (self.draw + 1)).kind_shares
                return chats(replace(world, kind_shares=habits), rng, self.n_texts)
            case "denials":
                return chats(replace(world, denials=DENIALS), rng, self.n_texts)


def tunings(learning_rates: tuple[float, ...], draws: int, *, first_draw: int = 0) -> list[Tuning]:
    """Every kind of data at every learning rate, some times over.

    Every second draw is used, so that sets that begin at draw 0 and at draw 1 share no data.
    """
    drawn = range(first_draw, first_draw + 2 * draws, 2)
    grid = product(drawn, learning_rates, _OF_NULLS)
    return [Tuning(data, rate, draw=draw) for draw, rate, data in grid]
