"""Rows about one pair: its agreement with labels and with its own true objective.

The recipe says which pair is audited with which seeds and against which labels; every row is one
measurement of one of these audits, or of the true objective. Labels that lie outside the repository
are read from `--text DIR`; without it they become rows without an estimate, with the reason.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from explain.jobs.result_rows import Making, Measured
from irl.bootstrap import from_sums
from irl.data import read_preferences
from irl.evaluation.accuracy import accuracy
from irl.jobs.agreement import labels_of
from irl.records import Accuracy, AuditReport, ResultRow
from irl.rewards.terms import TermReward, words

METRICS = ("preference", "auc", "spearman", "length_controlled")
STRONGEST = 10


class LabelSource(BaseModel):
    """Labels to hold the audits against."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    case: str
    file: str | None = None
    "in the repository, used as it is"
    text: str | None = None
    "a Parquet file in the text folder"
    where: dict[str, str] = {}
    "rows to keep: column equals value"
    positive: str | None = None
    "label of the better class, where the file's labels are classes"


class PairRecipe(BaseModel):
    """One pair, audited with several seeds and held against labels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["pair"] = "pair"
    audit: dict[str, Any]
    seeds: list[int]
    labels: list[LabelSource]
    figures: list[str]
    truth: str | None = None
    "folder of the true objective: classifier.json and classifier.safetensors"


@dataclass(frozen=True)
class Prepared:
    """A label source as a file that the audit can read, or the reason why there is none."""

    case: str
    file: Path | None
    reason: str = ""


def pair_rows(recipe: PairRecipe, making: Making) -> list[ResultRow]:
    """Run the recipe's audits and measure them."""
    prepared = [_prepare(source, making.text, making.folder) for source in recipe.labels]
    files = [str(source.file) for source in prepared if source.file]
    rows: list[ResultRow] = []
    for seed in recipe.seeds:
        settings = {**recipe.audit, "preferences": files, "seed": seed}
        rows += _rows(making.audit(f"seed-{seed}", **settings), seed, prepared, recipe)
    rows += _true_rows(recipe, prepared)
    rows += [_missing(source) for source in prepared if source.file is None]
    return rows


def _prepare(source: LabelSource, text: Path | None, folder: Path) -> Prepared:
    if source.file is not None:
        return Prepared(source.case, Path(source.file))
    if text is None or not (text / str(source.text)).is_file():
        reason = f"{source.text} was not given (--text DIR)"
        return Prepared(source.case, None, reason)
    table = pq.read_table(text / str(source.text))
    for column, value in source.where.items():
        table = table.filter(pc.equal(table[column].cast("string"), value))
    rows = table.to_pylist()
    if source.positive is not None:
        rows = [{**row, "label": float(str(row["label"]) == source.positive)} for row in rows]
    file = folder / "labels" / f"{Path(str(source.text)).stem}.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return Prepared(source.case, file)


def _rows(
    report: AuditReport, seed: int, prepared: list[Prepared], recipe: PairRecipe
) -> Iterator[ResultRow]:
    cases = {source.file.name: source.case for source in prepared if source.file}
    for row in report.accuracy:
        yield from _accuracy_rows(row, cases[row.labels], row.scorer, [seed])
    for path in recipe.figures:
        found: Any = report
        for part in path.split("."):
            found = getattr(found, part)
        yield Measured("audit", [seed]).row("log_ratio", path, "", found)
    if recipe.truth:
        yield from _agreement_with_truth(report, Path(recipe.truth), seed)


def _accuracy_rows(row: Accuracy, case: str, method: str, seeds: list[int]) -> Iterator[ResultRow]:
    for metric in METRICS:
        found = getattr(row, metric)
        if found is not None:
            yield Measured(case, seeds).row(method, metric, "share", found)


def _true_rows(recipe: PairRecipe, prepared: list[Prepared]) -> Iterator[ResultRow]:
    """What the true objective itself scores on the same labels."""
    if recipe.truth is None:
        return
    toxicity = TermReward.load(Path(recipe.truth), "classifier")
    for source in prepared:
        if source.file is None:
            continue
        rows = read_preferences(source.file).rows
        texts = [row.response for row in rows]
        labels = labels_of(source.case, rows, [len(words(text)) for text in texts])
        found = accuracy("log_ratio", -toxicity(texts).numpy(), labels)
        yield from _accuracy_rows(found, source.case, "true objective", [])


def _agreement_with_truth(report: AuditReport, truth: Path, seed: int) -> Iterator[ResultRow]:
    """Do the charged terms carry the classifier's own weights?"""
    toxicity = TermReward.load(truth, "classifier").by_term
    charged = [term for term in report.terms if term.weight < 0][:STRONGEST]
    known = [(term.weight, -toxicity[term.term]) for term in report.terms if term.term in toxicity]
    names = ", ".join(term.term for term in charged)
    rude = np.array([[float(toxicity.get(term.term, 0.0) > 0), 1.0] for term in charged])
    yield Measured(f"strongest charged terms: {names}", [seed]).row(
        "log_ratio",
        "rude by the classifier",
        "share",
        from_sums(rude, np.arange(len(rude)), lambda sums: sums[..., 0] / sums[..., 1])
        if len(rude)
        else None,
    )
    pairs = np.array(known).reshape(-1, 2)
    products = np.stack([pairs.prod(1), pairs[:, 0] ** 2, pairs[:, 1] ** 2], axis=1)
    yield Measured("all reported terms", [seed]).row(
        "log_ratio",
        "cosine with the classifier's weights",
        "",
        from_sums(
            products,
            np.arange(len(pairs)),
            lambda sums: sums[..., 0] / np.sqrt(sums[..., 1] * sums[..., 2]),
        ),
    )


def _missing(source: Prepared) -> ResultRow:
    return Measured(source.case, []).row("log_ratio", "preference", "share", None, source.reason)
