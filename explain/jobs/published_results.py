"""Rows about published rewards: what a choice without labels and a report of all seeds would say.

Authors of arXiv 2410.12491 published the scores that their recovered rewards give to 2,000 texts,
together with the true reward and its label. Their headline is the best fit by these labels. Here
the fits of each set are held against the same labels, and beside the best stand the mean of all,
and the fit on which the others agree most, which no label has chosen. A fit
is named as reversed, again without labels, if it ranks the texts against that choice.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score

from explain.jobs.result_rows import Making, Measured, counted, mean_share
from explain.organism_scores import exact_share
from irl.bootstrap import from_sums, ratio
from irl.errors import InputError
from irl.evaluation.auc import grouped_auc
from irl.records import Estimate, ResultRow
from irl.recovery.consensus import consensus, nearly_constant

Array = NDArray[np.float64]


class PublishedRecipe(BaseModel):
    """Which files of the text folder hold the scores and the truth."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["published"]
    scores: str
    truth: str
    headline: str
    "the set whose best fit is the publication's headline"


@dataclass(frozen=True)
class Fits:
    """One set: scores of its fits, [fit, text], and what they should say."""

    name: str
    scores: Array
    civil: NDArray[np.bool_]
    repeats: bool
    "whether the fits differ in nothing but the seed"

    def accuracies(self) -> Array:
        """Share of texts on the right side of zero."""
        right: Array = ((self.scores > 0) == self.civil).mean(1)
        return right

    def auc(self, fit: int) -> Estimate:
        """Of one fit, with an interval over texts."""
        text = np.arange(len(self.civil))
        found = grouped_auc(self.scores[fit], self.civil, np.zeros_like(text), text)
        assert found is not None
        return found

    def aucs(self) -> Array:
        """Of every fit."""
        return np.array([roc_auc_score(self.civil, scores) for scores in self.scores])


def published_rows(recipe: PublishedRecipe, making: Making) -> list[ResultRow]:
    """Every set, then all sets together.

    Raises:
        InputError: the text folder is not given, or lacks the files.
    """
    judged = []
    for fits in _read(recipe, making.text):
        making.say(fits.name)
        judged.append(Judged.of(fits))
    rows = [row for one in judged for row in _rows(one, recipe.headline)]
    return [*rows, *_together([one for one in judged if one.fits.repeats])]


@dataclass(frozen=True)
class Judged:
    """One set, the choice among its fits, and what the labels say of all."""

    fits: Fits
    chosen: int
    "by agreement"
    named: NDArray[np.bool_]
    "as reversed, by agreement"
    aucs: Array

    @classmethod
    def of(cls, fits: Fits) -> "Judged":
        """Choose and name without the labels, then look at them."""
        nowhere = torch.zeros(len(fits.civil), dtype=torch.long)
        chosen = consensus(torch.tensor(fits.scores), nowhere).chosen
        named = np.corrcoef(rankdata(fits.scores, axis=1))[chosen] < 0
        return cls(fits, chosen, named, fits.aucs())

    @property
    def reverse(self) -> NDArray[np.bool_]:
        """Fits that rank in reverse, by the labels."""
        return self.aucs < 0.5


def _together(sets: Sequence[Judged]) -> Iterator[ResultRow]:
    of = Measured(f"{len(sets)} sets of repeated fits", [])
    gains = np.array([one.aucs[one.chosen] - one.aucs.mean() for one in sets])
    wins = exact_share(int((gains > 0).sum()), len(gains))
    yield of.row("consensus", "sets where it beats the mean of the fits", "share", wins)
    columns = np.stack([gains, np.ones_like(gains)], axis=1)
    gained = from_sums(columns, np.arange(len(gains)), ratio)
    yield of.row("consensus", "AUC gained over the mean of the fits", "", gained)
    reverse = np.concatenate([one.reverse for one in sets])
    named = np.concatenate([one.named for one in sets])
    found = int((named & reverse).sum())
    shared = exact_share(int(reverse.sum()), len(reverse))
    yield of.row("all fits", "rank in reverse, by the labels", "share", shared)
    right = exact_share(found, int(named.sum()))
    yield of.row("consensus", "of fits named as reversed, reversed by the labels", "share", right)
    caught = exact_share(found, int(reverse.sum()))
    yield of.row("consensus", "of fits reversed by the labels, named", "share", caught)


def _rows(judged: Judged, headline: str) -> Iterator[ResultRow]:
    fits, aucs, chosen = judged.fits, judged.aucs, judged.chosen
    n = len(aucs)
    kind = "repeats of one fit" if fits.repeats else "fits of several settings"
    of = Measured(f"{fits.name}: {n} {kind}", [])
    accuracies = fits.accuracies()
    best = int(accuracies.argmax())
    yield of.row("mean of the fits", "AUC", "share", mean_share(aucs.tolist()))
    yield of.row("mean of the fits", "accuracy at 0", "share", mean_share(accuracies.tolist()))
    yield of.row("consensus", "AUC", "share", fits.auc(chosen))
    yield of.row("consensus", "accuracy at 0", "share", _accuracy(fits, chosen))
    said = "best fit by the labels" + (", the published headline" if fits.name == headline else "")
    yield of.row(said, "AUC", "share", fits.auc(best))
    yield of.row(said, "accuracy at 0", "share", _accuracy(fits, best))
    yield of.row("all fits", "AUC, standard deviation", "", counted(float(aucs.std(ddof=1)), n))
    yield of.row("all fits", "AUC, worst", "share", counted(float(aucs.min()), n))
    reverse = exact_share(int(judged.reverse.sum()), n)
    yield of.row("all fits", "rank in reverse, by the labels", "share", reverse)
    named = counted(int(judged.named.sum()), n)
    yield of.row("consensus", "fits named as reversed", "count", named)
    flat = int(nearly_constant(torch.tensor(fits.scores)).sum())
    yield of.row("all fits", "nearly constant", "share", exact_share(flat, n))


def _read(recipe: PublishedRecipe, text: Path | None) -> list[Fits]:
    if text is None:
        raise InputError("The published rewards lie outside the repository; give --text DIR.")
    for name in (recipe.scores, recipe.truth):
        if not (text / name).is_file():
            raise InputError(f"The text folder {text} has no {name}.")
    truth = pq.read_table(text / recipe.truth).to_pydict()
    civil = np.array(truth["true_reward"]) > 0
    rows = pq.read_table(text / recipe.scores).to_pylist()
    sets = []
    for name in sorted({row["run"] for row in rows}):
        mine = [row for row in rows if row["run"] == name]
        scores = np.array([_numbers(row["rewards"]) for row in mine])
        settings = {(row["epochs"], row["lr"]) for row in mine}
        sets.append(Fits(name, scores, civil, len(settings) == 1))
    return sets


def _numbers(stored: str | Sequence[float]) -> list[float]:
    found: list[float] = json.loads(stored) if isinstance(stored, str) else list(stored)
    return found


def _accuracy(fits: Fits, fit: int) -> Estimate | None:
    right = (fits.scores[fit] > 0) == fits.civil
    return exact_share(int(right.sum()), len(right))
