"""The trainings among the examples: an ensemble, a policy aligned with it, what follows from them.

The policy is trained on one member of ten at a low price of KL, so that there is something to warn
of, and gold says whether the warning was right. Its weights, and those of its checkpoints, are left
out once the checkpoints have been looked at.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from explain.jobs.extrapolate import extrapolate
from explain.jobs.series import run_drift
from irl.config import ScoreSettings
from irl.jobs.align import CHECKPOINTS, align
from irl.jobs.align_settings import AlignSettings
from irl.jobs.best_of_n import best_of_n_curves
from irl.jobs.checkpoints import SeriesSettings
from irl.jobs.ensemble import fit_ensemble
from irl.jobs.ensemble_settings import EnsembleSettings
from irl.jobs.known_truth import prices_of
from irl.jobs.scoring import score
from irl.records import Truth
from irl.runs import read_record

ENSEMBLE, ALIGNED, PATH = "ensemble", "aligned-with-a-weak-member", "beyond-detox"
SERIES, PICKED = "checkpoints-of-a-training", "best-of-n"
GOLD, ANSWERS = "gold", "answers.parquet"
"In the folder of the pair: its true reward, and answers of its reference to pick from"
_SIZES = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True)
class Trainings:
    """What they start from, and their settings."""

    pair: Path
    "folder with reference/, aligned/, prompts.jsonl, heldout_preferences.jsonl and truth.json"
    audit: str
    "name of the example whose reward is followed beyond the pair"
    ensemble: Mapping[str, Any] = field(default_factory=dict)
    align: Mapping[str, Any] = field(default_factory=dict)
    series: Mapping[str, Any] = field(default_factory=dict)
    answers: Mapping[str, Any] = field(default_factory=dict)
    path: Mapping[str, Any] = field(default_factory=dict)


def make_trainings(root: Path, trainings: Trainings) -> list[str]:
    """Make them afresh under a folder of examples.

    Returns:
        Their names.

    Raises:
        IrlError: the pair, or the example that is followed, cannot be used.
    """
    pair = trainings.pair
    reference, prompts = str(pair / "reference"), str(pair / "prompts.jsonl")
    labels = str(pair / "heldout_preferences.jsonl")
    gold = write_gold(pair)
    members = EnsembleSettings.checked(
        {"preferences": labels, "features": "embeddings", "base": reference, **trainings.ensemble}
    )
    fit_ensemble(members, root / ENSEMBLE, fresh=True)
    _aligned(root, trainings, {"policy": reference, "prompts": prompts, "gold": gold})
    extrapolate(
        out=root / PATH,
        fresh=True,
        aligned=str(pair / "aligned"),
        reference=reference,
        prompts=prompts,
        reward=str(root / trainings.audit),
        **trainings.path,
    )
    answers = write_answers(pair, trainings.answers)
    best_of_n_curves(str(root / ENSEMBLE), answers, gold, _SIZES, out=root / PICKED, fresh=True)
    return [ENSEMBLE, ALIGNED, SERIES, PATH, PICKED]


def write_gold(pair: Path) -> str:
    """The true reward of a pair, in nats, as a stored reward beside it; its folder.

    Raises:
        RunError: truth.json is missing or damaged.
    """
    truth = read_record(pair / "truth.json", Truth)
    prices_of(truth).save(pair / GOLD, "terms")
    return str(pair / GOLD)


def write_answers(pair: Path, settings: Mapping[str, Any]) -> str:
    """Many answers of the reference to each of a few prompts; their file."""
    asked = {
        "aligned": str(pair / "aligned"),
        "reference": str(pair / "reference"),
        "prompts": str(pair / "prompts.jsonl"),
    }
    with tempfile.TemporaryDirectory() as scratch:
        run = score(ScoreSettings.checked(asked | dict(settings)), Path(scratch) / "run")
        columns = ["prompt", "response", "source"]
        table = pq.read_table(run.path / "responses.parquet", columns=columns)
    theirs = table.filter(pc.field("source") == "reference")
    pq.write_table(theirs.drop_columns("source"), pair / ANSWERS)
    return str(pair / ANSWERS)


def _aligned(root: Path, trainings: Trainings, given: Mapping[str, str]) -> None:
    """The training, and what each of its checkpoints asks for."""
    paid = {"reward": str(root / ENSEMBLE), "keep_checkpoints": True, **given}
    training = AlignSettings.checked(paid | dict(trainings.align))
    run = align(training, root / ALIGNED, fresh=True).run
    asked: dict[str, Any] = {"aligned": (str(run.path / CHECKPOINTS),)}
    asked |= {"reference": given["policy"], "prompts": given["prompts"], **trainings.series}
    series = run_drift(SeriesSettings.checked(asked), root / SERIES, fresh=True).run
    series.finish_without(("series.html",))
    run.finish_without(("policy", CHECKPOINTS))
