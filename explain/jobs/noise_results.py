"""Rows about wrong labels: what flipped preferences cost each loss, and whether they are found.

Labelled pairs of an organism are split by prompt; of one half some labels are flipped and rewards
on counts of words fitted to it, the other half stays as it is and judges them. Every reward is
stopped by validation on flipped pairs of its own half, as it would be where nobody knows which
labels are wrong: early stopping is part of every line, the robust losses come on top of it.
"""

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from explain.jobs.result_rows import Making, Measured, mean_share
from irl.config import Fitting, Learning
from irl.data import LabelledResponse, read_preferences
from irl.evaluation.accuracy import couples, wins
from irl.jobs.learning import labels_in
from irl.jobs.organisms import bed_folder
from irl.organisms.bed import Bed
from irl.organisms.planting import grow
from irl.records import ResultRow
from irl.recovery.catalogue import frequent_words
from irl.recovery.examples import Examples
from irl.recovery.fit import Fitted
from irl.recovery.methods import METHODS
from irl.recovery.suspects import suspects
from irl.rewards.heads import linear

LOSSES = ("bradley-terry", "generalised", "absolute")


class NoiseRecipe(BaseModel):
    """Whose labels, and how many of them are flipped."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["noise"]
    seed: int
    organism: str
    flips: tuple[float, ...]
    learning: dict[str, Any] = {}


class Pairs:
    """Chosen and rejected answers as counts of words, with the prompt of each pair."""

    def __init__(self, rows: list[LabelledResponse]) -> None:
        labels = labels_in("", rows)
        better, worse = couples(labels.pair, labels.label)
        texts = [row.response for row in rows]
        counts = frequent_words(texts, Fitting())(texts)
        self.chosen, self.rejected = counts[better], counts[worse]
        self.prompt: NDArray[np.int64] = labels.prompt[better]

    def examples(self, here: NDArray[np.bool_], wrong: Tensor) -> Examples:
        """Some of the pairs, those that are wrong the other way round."""
        at = torch.from_numpy(np.flatnonzero(here))
        chosen, rejected = self.chosen[at], self.rejected[at]
        cluster = torch.from_numpy(np.unique(self.prompt[here], return_inverse=True)[1])
        flipped = wrong[:, None]
        return Examples.of_pairs(
            torch.where(flipped, rejected, chosen), torch.where(flipped, chosen, rejected), cluster
        )


def noise_rows(recipe: NoiseRecipe, making: Making) -> list[ResultRow]:
    """Every loss at every share of flipped labels."""
    bed = Bed(bed_folder(recipe.seed), recipe.seed, making.say)
    labels = bed.root / recipe.organism / "heldout_preferences.jsonl"
    if not labels.is_file():
        grow(bed, recipe.organism)
    pairs, learning = Pairs(list(read_preferences(str(labels)).rows)), Learning(**recipe.learning)
    rows: list[ResultRow] = []
    for share in recipe.flips:
        making.say(f"{share:.0%} flipped")
        rows += _at(pairs, share, recipe, learning)
    return rows


def _at(pairs: Pairs, share: float, recipe: NoiseRecipe, learning: Learning) -> Iterator[ResultRow]:
    of = Measured(f"{recipe.organism}, {share:.0%} of labels flipped", [recipe.seed])
    judging = pairs.prompt % 2 == 1
    n = int((~judging).sum())
    wrong = torch.rand(n, generator=torch.Generator().manual_seed(recipe.seed)) < share
    examples = pairs.examples(~judging, wrong)
    for name in LOSSES:
        fitted = METHODS[name](examples, linear, learning)
        shares = _accuracies(fitted, pairs, judging)
        yield of.row(name, "pair accuracy, mean of seeds", "share", mean_share(shares))
        if share:
            found = suspects(fitted, examples, int(wrong.sum()))
            right = [float(wrong[at]) for at in found]
            precision = mean_share(right)
            yield of.row(name, "flipped among as many suspects as flips", "share", precision)


def _accuracies(fitted: Fitted, pairs: Pairs, judging: NDArray[np.bool_]) -> list[float]:
    at = torch.from_numpy(np.flatnonzero(judging))
    with torch.no_grad():
        margins = fitted.head(pairs.chosen[at]) - fitted.head(pairs.rejected[at])
    return [float(share) for share in wins(margins.double().numpy()).mean(1)]
