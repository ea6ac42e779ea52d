"""Rows about recovery methods: which ranks answers as the planted reward does, on which organism?

Every method fits one reward for each seed (its split of the prompts), on counts of words, to the
answers that the organism's audit drew: all of them, with their log-ratios where the method asks
for these (white box), and the first so many of either policy (black box). Pair accuracy is that of
labelled answers to other prompts; every seed counts, no best is taken.
"""

from collections.abc import Iterator, Sequence
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
from explain.jobs.result_rows import Making, Measured, counted, mean_share
from irl.bootstrap import codes
from irl.config import Fitting, Learning
from irl.data import LabelledResponse, read_preferences
from irl.distances import centred_distance
from irl.evaluation.accuracy import Labels, pair_shares
from irl.evaluation.spread import Spread, spread
from irl.jobs.learning import Answered, labels_in
from irl.jobs.organisms import bed_folder
from irl.organisms.bed import Bed
from irl.organisms.planted import plants
from irl.records import ResultRow
from irl.recovery.catalogue import frequent_words
from irl.recovery.max_entropy import effective_answers
from irl.recovery.methods import METHODS, ROBUST, WHITE_BOX
from irl.rewards.heads import Head, linear

MEAN = "pair accuracy, mean of seeds"
LOST = "pair accuracy lost against log-ratio, white box"


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

    answered: Answered
    labelled: list[LabelledResponse]

    def samples(self, n: int) -> "Material":
        """The prompts that hold the first n answers of either policy, as samples alone."""
        given = self.answered
        ours = np.cumsum(np.bincount(given.prompt, weights=given.aligned))
        kept = ours[given.prompt] <= n
        texts = [text for text, keep in zip(given.texts, kept, strict=True) if keep]
        return replace(self, answered=Answered(texts, given.prompt[kept], given.aligned[kept]))


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
        answered, _ = audited_answers(making.folder / f"seed-{recipe.seed}-{plant.name}")
        material = Material(answered, list(read_preferences(str(labels)).rows))
        boxes = {"white box": material, "black box": material.samples(recipe.black_box)}
        here: list[ResultRow] = []
        for box, given in boxes.items():
            making.say(f"{plant.name}, {box}")
            here += _fits(Measured(f"{plant.name}, {box}", [recipe.seed]), given, learning)
        rows += [*here, *_lost(Measured(f"{plant.name}, black box", [recipe.seed]), here)]
    return rows


def _lost(of: Measured, rows: Sequence[ResultRow]) -> Iterator[ResultRow]:
    """What samples alone cost each method, against the log-ratios of the same policies."""
    means = {
        (row.case.split(", ")[-1], row.method): row.estimate.value
        for row in rows
        if row.metric == MEAN and row.estimate
    }
    best = means["white box", "log-ratio"]
    for (box, method), mean in means.items():
        if box == "black box":
            yield of.row(method, LOST, "share", counted(best - mean, 1))


def audited_answers(run: Path) -> tuple[Answered, NDArray[np.int64]]:
    """What a finished audit drew, and the fold of each answer."""
    names = ["prompt_id", "response", "source", "log_ratio_nats", "aligned_nats", "fold"]
    table = pq.read_table(run / "responses.parquet", columns=names).to_pydict()
    answered = Answered(
        table["response"],
        codes(table["prompt_id"]),
        np.array([source == "aligned" for source in table["source"]]),
        np.array(table["log_ratio_nats"]),
        np.array(table["aligned_nats"]),
    )
    return answered, np.array(table["fold"])


def _fits(of: Measured, given: Material, learning: Learning) -> Iterator[ResultRow]:
    answered = given.answered
    features = frequent_words(answered.texts, Fitting())
    examples = answered.examples(features(answered.texts))
    labels = labels_in("", given.labelled)
    labelled = features([row.response for row in given.labelled])
    scores: dict[str, Tensor] = {}
    for name, method in METHODS.items():
        if name in ROBUST or (answered.log_ratio is None and name in WHITE_BOX):
            continue
        fitted = method(examples, linear, learning)
        found = _accuracies(fitted.head, labelled, labels)
        yield of.row(name, MEAN, "share", mean_share(found))
        about: Spread = spread(found)
        yield of.row(name, "pair accuracy, worst seed", "share", counted(about.min, about.n))
        flips = counted(round(about.sign_flip_share * about.n), about.n)
        yield of.row(name, "seeds that rank in reverse", "count", flips)
        with torch.no_grad():
            members = fitted.head(examples.features)
        if name == "max-entropy":
            carrying, answers = effective_answers(members, examples)
            effective = counted(carrying, round(answers))
            yield of.row(name, "effective sample size, to a prompt", "answers", effective)
        scores[name] = members[0].double()
    apart = {
        (one, two): float(centred_distance(scores[one], scores[two], examples.prompt))
        for one, two in combinations(scores, 2)
    }
    nearest = min(apart, key=lambda pair: apart[pair])
    said = f"{nearest[0]} and {nearest[1]}"
    yield of.row(said, "smallest distance of two methods", "", counted(apart[nearest], 1))


def _accuracies(head: Head, features: Tensor, labels: Labels) -> list[float]:
    """Share of labelled pairs that each member ranks as labelled."""
    with torch.no_grad():
        shares = pair_shares(head(features).numpy().astype(np.float64), labels)
    return [float(share) for share in shares]
