"""Sets of texts with human labels, read from the text folder: who is civil, and how far."""

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from irl.errors import InputError
from irl.organisms.corpus import clean

Array = NDArray[np.float64]


class LabelSet(BaseModel):
    """Where the texts and labels of one set stand."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    case: str
    file: str
    where: dict[str, list[str]] = {}
    "rows to keep: the column holds one of these values"
    label: str | None = None
    "column of the class; None for pairs of `chosen` and `rejected`"
    civil: list[str] = []
    "its civil values"
    most: int | None = None
    "of the rows, drawn at random; None takes all"
    votes: list[str] = []
    "columns of votes that a text is not civil; graded labels are their share of `count`"


@dataclass(frozen=True)
class Labelled:
    """One set in memory."""

    case: str
    texts: list[str]
    civil: NDArray[np.bool_]
    grade: Array
    "human label, higher is more civil; two grades where there are only classes"
    pair: NDArray[np.int64]
    "texts of one pair share a number; every text its own where there are none"

    def some(self, kept: NDArray[np.bool_]) -> "Labelled":
        """Some of the texts."""
        texts = [text for text, keep in zip(self.texts, kept, strict=True) if keep]
        return Labelled(self.case, texts, self.civil[kept], self.grade[kept], self.pair[kept])


def read_label_set(about: LabelSet, folder: Path) -> Labelled:
    """Read one set; texts are cleaned as those that the pairs on real text learnt from.

    Raises:
        InputError: the folder lacks the file.
    """
    file = folder / about.file
    if not file.is_file():
        raise InputError(f"The text folder {folder} has no {about.file}.")
    rows = [
        row
        for row in pq.read_table(file).to_pylist()
        if all(str(row[column]) in values for column, values in about.where.items())
    ]
    if about.most is not None and about.most < len(rows):
        rows = random.Random(0).sample(rows, about.most)
    if about.label is None:
        texts = [clean(row[side]) for row in rows for side in ("chosen", "rejected")]
        civil = np.tile([True, False], len(rows))
        return Labelled(
            about.case, texts, civil, civil.astype(float), np.repeat(np.arange(len(rows)), 2)
        )
    civil = np.array([str(row[about.label]) in about.civil for row in rows])
    grade = civil.astype(np.float64)
    if about.votes:
        grade = np.array(
            [1 - sum(row[column] for column in about.votes) / row["count"] for row in rows]
        )
    texts = [clean(row["text"]) for row in rows]
    return Labelled(about.case, texts, civil, grade, np.arange(len(rows)))
