"""Rows about recovery methods: which ranks answers as the planted reward does, on which organism?

Every method fits one reward for each seed (its split of the prompts), on counts of words, to the
answers that the organism's audit drew: all of them, with their log-ratios where the method asks
for these (white box), and the first so many of either policy (black box). Pair accuracy is that of
labelled answers to other prompts; every seed counts, no best is taken.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from explain.jobs.organism_results import OrganismsRecipe, attempts
from explain.jobs.result_rows import Making, Measured, counted, mean_over_draws
from irl.bootstrap import codes
from irl.config import Fitting, Learning
from irl.data import LabelledResponse, read_preferences
from irl.distances import centred_distance
from irl.evaluation.accuracy import couples
from irl.evaluation.spread import Spread, spread
from irl.jobs.agreement import labels_of
from irl.jobs.organisms import bed_folder
from irl.organisms.bed import Bed
from irl.organisms.planted import plants
from irl.records import ResultRow
from irl.recovery.catalogue import candidates
from irl.recovery.examples import Examples
from irl.recovery.methods import METHODS, ROBUST, WHITE_BOX
from irl.rewards.features import WordCounts
from irl.rewards.heads import Head, linear


class MethodsRecipe(BaseModel):
    """Organisms of one world, and how rewards are fitted to their answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["methods"]
    seed: int
    "of the world"
    audits: str
    "the table whose audits drew the answers"
    audit: dict[str, Any] = {}
    black_box: int
    "answers of either policy"
    learning: dict[str, Any] = {}


@dataclass(frozen=True)
class Material:
    """Answers of both policies, and labelled answers to other prompts."""

    texts: list[str]
    prompt: NDArray[np.int64]
    aligned: NDArray[np.bool_]
    log_ratio: NDArray[np.float64]
    log_policy: NDArray[np.float64]
    "under the aligned policy"
    labelled: list[LabelledResponse]

    def first(self, n: int) -> "Material":
        """The prompts that hold the first n answers of either policy, as samples alone."""
        ours = np.cumsum(np.bincount(self.prompt, weights=self.aligned))
        kept = ours[self.prompt] <= n
        texts = [text for text, keep in zip(self.texts, kept, strict=True) if keep]
        return replace(
            self,
            texts=texts,
            prompt=self.prompt[kept],
            aligned=self.aligned[kept],
            log_ratio=self.log_ratio[kept],
            log_policy=self.log_policy[kept],
        )


def method_rows(recipe: MethodsRecipe, making: Making) -> list[ResultRow]:
    """Every method on every organism that has labels, by either box."""
    making = replace(making, folder=making.folder.parent / f"results-{recipe.audits}")
    organisms = OrganismsRecipe(kind="organisms", seeds=[recipe.seed], audit=recipe.audit)
    learning = Learning(**recipe.learning)
    bed = Bed(bed_folder(recipe.seed), recipe.seed, making.say)
    rows: list[ResultRow] = []
    for plant in plants(bed.world).values():
        attempt = next(attempts(bed, plant, organisms, making))
        labels = bed.root / plant.name / "heldout_preferences.jsonl"
        if attempt.outcome is None or not labels.is_file():
            continue
        material = _material(making.folder / f"seed-{recipe.seed}-{plant.name}", labels)
        for box, given in (
            ("white box", material),
            ("black box", material.first(recipe.black_box)),
        ):
            making.say(f"{plant.name}, {box}")
            rows += _fits(Measured(f"{plant.name}, {box}", [recipe.seed]), given, learning)
    return rows


def _material(run: Path, labels: Path) -> Material:
    names = ["prompt_id", "response", "source", "log_ratio_nats", "aligned_nats"]
    table = pq.read_table(run / "responses.parquet", columns=names).to_pydict()
    return Material(
        table["response"],
        codes(table["prompt_id"]),
        np.array([source == "aligned" for source in table["source"]]),
        np.array(table["log_ratio_nats"]),
        np.array(table["aligned_nats"]),
        list(read_preferences(str(labels)).rows),
    )


def _fits(of: Measured, given: Material, learning: Learning) -> Iterator[ResultRow]:
    black = of.case.endswith("black box")
    features = WordCounts(tuple(candidates(given.texts, 1, Fitting())))
    examples = Examples(
        features(given.texts),
        torch.from_numpy(given.prompt),
        torch.from_numpy(given.aligned),
        None if black else torch.from_numpy(given.log_ratio).float(),
        None if black else torch.from_numpy(given.log_policy).float(),
    )
    labelled = features([row.response for row in given.labelled])
    scores: dict[str, Tensor] = {}
    for name, method in METHODS.items():
        if name in ROBUST or (black and name in WHITE_BOX):
            continue
        head = method(examples, linear, learning).head
        found = _accuracies(head, labelled, given.labelled)
        yield of.row(name, "pair accuracy, mean of seeds", "share", mean_over_draws(found))
        about: Spread = spread(found)
        yield of.row(name, "pair accuracy, worst seed", "share", counted(about.min, about.n))
        flips = counted(round(about.sign_flip_share * about.n), about.n)
        yield of.row(name, "seeds that rank in reverse", "count", flips)
        with torch.no_grad():
            scores[name] = head(examples.features)[0].double()
    apart = {
        (one, two): float(centred_distance(scores[one], scores[two], examples.prompt))
        for one, two in combinations(scores, 2)
    }
    nearest = min(apart, key=lambda pair: apart[pair])
    said = f"{nearest[0]} and {nearest[1]}"
    yield of.row(said, "smallest distance of two methods", "", counted(apart[nearest], 1))


def _accuracies(head: Head, features: Tensor, rows: list[LabelledResponse]) -> list[float]:
    """Share of labelled pairs that each member ranks as labelled, ties one half."""
    labels = labels_of("", rows, [0] * len(rows))
    better, worse = couples(labels.pair, labels.label)
    with torch.no_grad():
        scores = head(features).numpy()
    margins = scores[:, better] - scores[:, worse]
    wins = (margins > 0) + 0.5 * (margins == 0)
    return [float(share) for share in wins.mean(1)]
